"""Metrics of single classes against values counted by hand."""

import numpy as np
import pytest

from stages.evaluate.classes import class_metrics


def one_hot(predictions: list[int], classes: int) -> np.ndarray:
    return np.eye(classes)[predictions]


def test_two_classes_have_a_positive_one_whose_ranking_is_measured():
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.7, 0.4, 0.8])
    m = class_metrics(labels, np.array([0, 1, 0, 1]), np.stack([1 - scores, scores], axis=1), ["ham", "spam"])
    assert m["positive_class"] == "spam"
    assert m["f1_positive"] == m["f1_by_class"]["spam"] == 0.5  # 2 * 1 / (2 * 1 + 1 + 1)
    assert m["roc_auc"] == 0.75  # 3 of the 4 pairs of a positive and a negative text are in order
    assert m["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3, abs=1e-6)


def test_a_model_that_always_says_the_same_can_still_rank():
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    m = class_metrics(np.array([0, 0, 1, 1]), np.zeros(4, int), np.stack([1 - scores, scores], axis=1), ["a", "b"])
    assert (m["f1_positive"], m["roc_auc"], m["average_precision"]) == (0, 1, 1)
    assert (m["classes"], m["classes_predicted"], m["never_predicted"]) == (2, 1, ["b"])


def test_a_class_without_test_rows_need_not_be_predicted():
    m = class_metrics(np.array([0, 1]), np.array([0, 1]), one_hot([0, 1], 3), ["a", "b", "c"])
    assert (m["classes"], m["classes_predicted"], m["never_predicted"]) == (3, 2, [])
    assert m["f1_by_class"] == {"a": 1, "b": 1, "c": 0}
    assert "positive_class" not in m


def test_ranking_is_left_out_where_it_is_not_defined():
    m = class_metrics(np.array([1, 1]), np.array([1, 0]), one_hot([1, 0], 2), ["a", "b"])
    assert "roc_auc" not in m and "average_precision" not in m
    assert m["f1_positive"] == pytest.approx(2 / 3, abs=1e-6)
