"""What is printed fits into a terminal of 120 columns, and shows the worst where all would not fit."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from stages.evaluate.tables import WIDTH, confusion_text, report_text, summary_text
from stages.presentation.text import display_width
from tests.evaluate.test_class_figures import matrix_of


def widths(text: str) -> list[int]:
    return [display_width(line) for line in text.splitlines()]


@pytest.mark.parametrize("num_classes", [2, 5, 13, 50, 300])
@pytest.mark.parametrize("name", ["c{}", "Home > Kitchen > Small appliances > {}", "很好{}", "line\nbreak {}"])
def test_matrices_of_any_size_fit(num_classes, name):
    text = confusion_text(matrix_of(num_classes), [name.format(k) for k in range(num_classes)])
    assert max(widths(text)) <= WIDTH
    assert len(text.splitlines()) <= num_classes + 23


def test_of_many_classes_the_lowest_f1_and_the_most_confused_pairs_are_shown():
    matrix = matrix_of(50)
    text = confusion_text(matrix, [f"topic {k}" for k in range(50)])
    classes, pairs = (part.splitlines() for part in text.split("\n\n"))
    labels, predictions = (np.repeat(side.ravel(), matrix.ravel()) for side in np.indices(matrix.shape))
    f1 = f1_score(labels, predictions, average=None)
    worst = int(np.argmin(f1))
    assert classes[1].split() == ["topic", str(worst), *classes[1].split()[2:4], classes[1].split()[4], f"{f1[worst]:.4f}"]
    assert len(classes) == len(pairs) == 11
    assert pairs[1].split() == ["topic", "49", "->", "topic", "48", "49", "32.9", "%"]


def test_the_report_has_one_line_per_class_and_a_key_for_the_figures():
    labels = np.array([0, 1, 2])
    text = report_text("lora", labels, labels, ["very\ngood", "很好", "x" * 99])
    assert text.splitlines()[4].split()[:2] == ["very", "good"]
    assert text.endswith("In the figures:\n[1] 很好\n")
    assert max(widths(text)) <= WIDTH
    assert "In the figures" not in report_text("lora", labels, labels, ["a", "b", "c"])


def test_the_summary_of_large_models_fits_and_says_what_tfidf_was_trained_on():
    scores = {"f1": 0.5, "f1_low": 0.4, "f1_high": 0.6}
    difference = {"f1_minus_full": -0.1, "f1_minus_full_low": -0.2, "f1_minus_full_high": 0.1}
    size = {"trainable_parameters": 8_030_261_248, "checkpoint_mib": 30_633.12}
    details = {method: {**scores, **difference, **size, "learned": True} for method in ("full", "lora")}
    baselines = {"majority": {**scores, "training_rows": 900}, "tfidf": {**scores, "training_rows": 300}}
    text = summary_text(details, baselines, 0.95)
    assert max(widths(text)) <= WIDTH
    assert text.startswith("(TF-IDF was trained on 300 of the 900 training rows)")
