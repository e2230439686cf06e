"""Calibration: known forecasters have known scores, and the bins are those of scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from sklearn.calibration import calibration_curve

from stages.evaluate.baselines import make_baselines
from stages.evaluate.calibration import calibration_scores, expected_calibration_error, reliability_bins
from stages.evaluate.reliability import COLUMNS, reliability_figure
from stages.presentation.figures import METHOD_COLOURS, save_figure


def forecaster(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels drawn from the very probabilities that are returned with them: calibration is perfect by construction."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), rows)
    draws = generator.random((rows, 1))
    return (probabilities.cumsum(axis=1)[:, :-1] < draws).sum(axis=1), probabilities


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_a_perfect_forecaster_has_no_error_beyond_that_of_sampling(classes):
    labels, probabilities = forecaster(20_000, classes)
    bins = reliability_bins(labels, probabilities, 15)
    # of a bin with n texts the expected gap is sqrt(2 / pi) sqrt(p (1 - p) / n), summed here with the shares of the bins
    expected = sum(np.sqrt(2 / np.pi * b.confidence * (1 - b.confidence) * b.texts) for b in bins) / len(labels)
    assert 0 < calibration_scores(labels, probabilities, 15)["ece"] < 2.5 * expected < 0.02


@pytest.mark.parametrize("classes", [2, 3])
def test_one_that_is_always_sure_and_wrong_has_the_worst_scores(classes):
    labels = np.arange(60) % classes
    wrong = np.eye(classes)[(labels + 1) % classes]
    scores = calibration_scores(labels, wrong, 15)
    assert (scores["brier"], scores["ece"]) == (2, 1)
    assert scores["nll"] == pytest.approx(-np.log(np.finfo(float).eps), rel=1e-3)
    right = calibration_scores(labels, np.eye(classes)[labels], 15)
    assert (right["brier"], right["ece"]) == (0, 0) and right["nll"] == pytest.approx(0, abs=1e-12)


def test_the_scores_of_three_texts_by_hand():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.0, 0.9]])
    labels = np.array([0, 0, 2])
    scores = calibration_scores(labels, probabilities, 2)
    assert scores["nll"] == pytest.approx(-(np.log(0.7) + np.log(0.3) + np.log(0.9)) / 3)
    assert scores["brier"] == pytest.approx((0.14 + 0.86 + 0.02) / 3)
    # all three lie in (0.5, 1]: two of three are right, the mean confidence is 2.2 / 3
    assert scores["ece"] == pytest.approx(abs(2 / 3 - 2.2 / 3)) and scores["ece_bins"] == 2
    # 0.7, 0.6 and 0.9 in bins of their own
    assert calibration_scores(labels, probabilities, 10)["ece"] == pytest.approx((0.3 + 0.6 + 0.1) / 3)


@pytest.mark.parametrize("bins", [2, 10, 15])
def test_the_bins_are_those_of_scikit_learn(bins):
    labels, probabilities = forecaster(500, 3)
    probabilities[0] = [0.6, 0.2, 0.2]  # with ten bins on an edge: it belongs to the lower bin
    ours = reliability_bins(labels, probabilities, bins)
    hit = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(hit, probabilities.max(axis=1), n_bins=bins)
    assert [b.accuracy for b in ours] == pytest.approx(accuracy) and [b.confidence for b in ours] == pytest.approx(confidence)
    assert sum(b.texts for b in ours) == 500
    assert all(b.low < b.confidence <= b.high and b.accuracy_low <= b.accuracy <= b.accuracy_high for b in ours)


def test_sharper_probabilities_than_the_truth_are_found_too_sure():
    labels, probabilities = forecaster(5000, 2)
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    true, found = (calibration_scores(labels, p, 15) for p in (probabilities, sharp))
    assert all(found[key] > true[key] for key in ("nll", "brier", "ece"))
    assert all(b.accuracy < b.confidence for b in reliability_bins(labels, sharp, 15) if b.texts > 200)


def test_the_picture_shows_the_bins_and_has_the_same_bytes_twice(tmp_path):
    labels, probabilities = forecaster(300, 3)
    bins = dict.fromkeys(("full", "lora", "adapter"), reliability_bins(labels, probabilities, 10))
    save_figure(reliability_figure(bins, 0.1), tmp_path / "first.png")
    save_figure(reliability_figure(bins, 0.1), tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    figure = reliability_figure(bins, 0.1)
    panel, below = figure.axes[1], figure.axes[4]
    drawn = next(line for line in panel.lines if line.get_color() == METHOD_COLOURS["lora"])
    assert drawn.get_ydata() == pytest.approx([b.accuracy for b in bins["lora"]])
    assert [bar.get_height() for bar in below.patches] == [b.texts for b in bins["lora"]]
    assert f"ECE {expected_calibration_error(bins['lora']):.3f}" in panel.get_title()


def test_baselines_have_probabilities_of_every_class():
    train = Dataset.from_dict({"text": ["bad", "good", "good"] * 20, "label": [0, 1, 1] * 20})
    test = Dataset.from_dict({"text": ["bad", "good", "odd"], "label": [0, 1, 2]})
    made = make_baselines(train, test, seed=0)
    assert made["majority"].probabilities == pytest.approx(np.tile([1 / 3, 2 / 3, 0], (3, 1)))
    assert made["majority"].predictions.tolist() == [1, 1, 1]
    assert made["tfidf"].probabilities.argmax(axis=1).tolist() == made["tfidf"].predictions.tolist()
    assert made["tfidf"].probabilities.sum(axis=1) == pytest.approx(1) and made["stratified"].probabilities is None


@pytest.mark.slow
def test_the_metric_files_have_the_scores_of_the_table(tmp_path, monkeypatch):
    from tests.evaluate.test_output import evaluate, predicted

    monkeypatch.chdir(tmp_path)
    evaluate()
    table, test = pd.read_csv("plots/reliability.csv"), predicted(300, seed=0)
    assert list(table.columns) == list(COLUMNS)
    for method, rows in table.groupby("method"):
        details = json.loads((tmp_path / f"metrics/details/{method}.json").read_text())
        expected = calibration_scores(test.labels, test.probabilities[method], 10)
        assert {key: details[key] for key in expected} == pytest.approx(expected, abs=1e-6)
        gaps = (rows["accuracy"] - rows["confidence"]).abs() * rows["texts"] / 300
        assert gaps.sum() == pytest.approx(details["ece"], abs=1e-5)
