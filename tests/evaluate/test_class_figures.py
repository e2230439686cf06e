"""Figures with a row per class are readable for any number of classes and any names."""

import warnings

import numpy as np
import pytest

from stages.evaluate.class_figures import MOST_NAMED, SELECTED, confusion_figure, f1_by_class_figure
from stages.presentation.figures import METHOD_COLOURS, save_figure


def test_the_matrix_shows_counts_and_row_percent_on_a_fixed_scale():
    axes, _ = confusion_figure(np.array([[50, 3], [7, 40]]), ["negative", "positive"], "LoRA").axes
    assert [text.get_text() for text in axes.texts] == ["50\n94.3 %", "3\n5.7 %", "7\n14.9 %", "40\n85.1 %"]
    assert axes.images[0].get_clim() == (0, 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["negative", "positive"]


def matrix_of(num_classes: int) -> np.ndarray:
    """k texts of class k are taken for class k - 1."""
    return np.diag(np.full(num_classes, 100)) + np.diag(np.arange(1, num_classes), -1)


def test_many_classes_have_names_and_the_most_confused_pairs():
    names = [f"topic {k}" for k in range(50)]
    axes, pairs, _ = confusion_figure(matrix_of(50), names, "LoRA").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    shown = [label.get_text() for label in pairs.get_yticklabels()]
    assert shown == [f"topic {k} → topic {k - 1}" for k in range(49, 39, -1)]
    assert pairs.texts[0].get_text() == "49 (33 %)"


def test_of_too_many_classes_those_with_the_most_errors_are_shown_and_the_title_says_so():
    names = [f"topic {k}" for k in range(MOST_NAMED + 20)]
    axes, *_ = confusion_figure(matrix_of(len(names)), names, "LoRA").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == names[-SELECTED - 1 : -1]  # nothing is taken for the last
    assert f"the {SELECTED} of {len(names)} classes with the most errors" in axes.get_title()
    f1 = np.linspace(0, 1, len(names))
    (scores,) = f1_by_class_figure({"full": f1}, np.arange(len(names)), names).axes
    assert [label.get_text() for label in scores.get_yticklabels()] == [f"topic {k} ({k})" for k in range(SELECTED - 1, -1, -1)]
    assert f"the {SELECTED} of {len(names)} classes with the lowest" in scores.get_title()


def test_f1_of_each_class_and_its_mean_are_drawn_in_the_colour_of_the_method():
    f1 = {"full": np.array([0.5, 1.0, 0.6]), "lora": np.array([0.25, 0.5, 0.75])}
    (axes,) = f1_by_class_figure(f1, np.array([3, 4, 5000]), ["a", "b", "c"]).axes
    places = [marks.get_offsets() for marks in axes.collections]
    for marks, scores in zip(places, f1.values(), strict=True):
        assert marks[:, 0].tolist() == scores.tolist() and marks[:, 1].round().tolist() == [0, 1, 2]
    assert (places[0][:, 1] < places[1][:, 1]).all()  # equal scores do not hide each other
    means = {line.get_color(): line.get_xdata()[0] for line in axes.lines[:2]}
    assert means == {METHOD_COLOURS[method]: pytest.approx(scores.mean()) for method, scores in f1.items()}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (3)", "b (4)", "c (5,000)"]


def test_a_name_that_cannot_be_drawn_is_a_number_and_the_figure_says_what_that_is():
    axes, _ = confusion_figure(np.eye(2, dtype=int), ["bad", "很好"], "LoRA").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["bad", "[1]"]
    assert "[n]: the name of class n" in axes.get_xlabel()
    (scores,) = f1_by_class_figure({"full": np.ones(2)}, np.ones(2, int), ["bad", "good"]).axes
    assert scores.get_xlabel() == "F1"


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    [
        ([0.86, 0.87], 0.815, 0.915),  # at least 0.1 wide
        ([0.2, 0.7], 0.16, 0.74),
        ([1.0, 1.0], 0.95, 1.02),
        ([0.0, 0.0], -0.02, 0.05),
    ],
)
def test_the_axis_of_f1_covers_the_scores_so_that_small_differences_are_seen(scores, low, high):
    (axes,) = f1_by_class_figure({"full": np.array(scores)}, np.array([5, 5]), ["a", "b"]).axes
    assert axes.get_xlim() == pytest.approx((low, high))


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [1, 7, 30, 90])
def test_figures_of_any_size_with_empty_classes_and_odd_names_are_drawn(num_classes, tmp_path):
    matrix = np.arange(num_classes**2).reshape(num_classes, num_classes)
    matrix[0] = 0
    names = [f"${'long ' * (k % 7)} $x_{k}^{{\n很\u202e" for k in range(num_classes)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(confusion_figure(matrix, names, "full"), tmp_path / "matrix.png")
        f1 = dict.fromkeys(("full", "lora", "adapter"), np.zeros(num_classes))
        save_figure(f1_by_class_figure(f1, matrix.sum(axis=1), names), tmp_path / "f1.png")
