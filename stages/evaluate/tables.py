"""What the evaluation prints, at most `WIDTH` columns wide, and the classification report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import classification_report, precision_recall_fscore_support

from stages.classifier.confusions import most_confused
from stages.evaluate.results import REFERENCE
from stages.presentation.labels import number_key, short_labels
from stages.presentation.text import aligned, display_width
from stages.presentation.titles import BASELINE_LABELS, METHOD_LABELS

WIDTH = 120  # columns of a terminal
LONGEST_NAME = 24  # characters, as in the figures
_LONGEST_IN_REPORT = 40
_WORST = 10  # classes, and pairs, that are shown where the matrix is too wide


def report_text(method: str, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str:
    """Return scikit-learn's classification report of the test set, below a line with the method and the number of rows.

    Where figures have numbers for names that they cannot draw, the key to them follows.
    """
    classes = {"labels": np.arange(len(class_names)), "target_names": short_labels(class_names, _LONGEST_IN_REPORT)}
    body = classification_report(labels, predictions, **classes, digits=4, zero_division=0)
    key = number_key(class_names, LONGEST_NAME)
    return f"{METHOD_LABELS[method]} on the test set, {len(labels)} rows\n\n{body}" + (
        f"\nIn the figures:\n{key}\n" if key else ""
    )


def confusion_text(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """Return a confusion matrix (K, K) of counts as text: one row per actual class, with its recall at the end.

    Of a matrix wider than `WIDTH` only the classes with the lowest F1 and the most confused pairs are shown.
    """
    names = short_labels(class_names, LONGEST_NAME)
    totals = matrix.sum(axis=1)
    recalls = [f"{hits / total:.4f}" if total else "-" for hits, total in zip(matrix.diagonal(), totals, strict=True)]
    rows = [[name, *map(str, row), recall] for name, row, recall in zip(names, matrix, recalls, strict=True)]
    whole = aligned([["actual \\ predicted", *names, "recall"], *rows])
    if display_width(whole.partition("\n")[0]) <= WIDTH:
        return whole
    return f"{_worst_classes(matrix, names)}\n\n{_worst_pairs(matrix, names)}"


def _worst_classes(matrix: np.ndarray, names: Sequence[str]) -> str:
    classes = np.arange(len(names))
    actual, predicted = (side.ravel() for side in np.indices(matrix.shape))
    scores = precision_recall_fscore_support(
        actual, predicted, labels=classes, sample_weight=matrix.ravel(), average=None, zero_division=0
    )
    precision, recall, f1 = scores[:3]
    worst = np.argsort(f1, kind="stable")[:_WORST]
    rows = [[names[k], f"{matrix[k].sum():,}", f"{precision[k]:.4f}", f"{recall[k]:.4f}", f"{f1[k]:.4f}"] for k in worst]
    return aligned([[f"lowest F1, of {len(names)} classes", "rows", "precision", "recall", "F1"], *rows])


def _worst_pairs(matrix: np.ndarray, names: Sequence[str]) -> str:
    rows = [
        [
            f"{names[pair.actual]} -> {names[pair.predicted]}",
            f"{pair.texts:,}",
            f"{100 * pair.texts / matrix[pair.actual].sum():.1f} %",
        ]
        for pair in most_confused(matrix, _WORST)
    ]
    return aligned([["most confused, actual -> predicted", "rows", "of the class"], *rows])


def positive_class_text(details: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one line per method with the scores of the positive class; "" unless there are two classes."""
    first = next(iter(details.values()))
    if "positive_class" not in first:
        return ""
    keys = [key for key in ("f1_positive", "roc_auc", "average_precision") if key in first]
    rows = [[METHOD_LABELS[method], *(f"{d[key]:.4f}" for key in keys)] for method, d in details.items()]
    (name,) = short_labels([first["positive_class"]], LONGEST_NAME)
    titles = {"f1_positive": "F1", "roc_auc": "ROC AUC", "average_precision": "average precision"}
    return aligned([[f"positive class: {name}", *(titles[key] for key in keys)], *rows])


def summary_text(
    details: Mapping[str, Mapping[str, Any]], baselines: Mapping[str, Mapping[str, float]], confidence: float
) -> str:
    """Return one line per baseline and method: macro F1 and its difference from full fine-tuning, with intervals, and sizes.

    There is no difference between methods of which one did not learn.
    """
    share = f"{100 * confidence:g} %"
    header = ["test set", "macro F1", share, "minus full", share, "trainable", "size MiB"]
    rows = [[BASELINE_LABELS[name], *_f1(scores), "", "", "", ""] for name, scores in baselines.items()]
    for method, d in details.items():
        difference = ["", ""]
        if method != REFERENCE and d["learned"] and details[REFERENCE]["learned"]:
            interval = f"[{d['f1_minus_full_low']:+.4f}, {d['f1_minus_full_high']:+.4f}]"
            difference = [f"{d['f1_minus_full']:+.4f}", interval]
        size = [f"{d['trainable_parameters']:,}", f"{d['checkpoint_mib']:.2f}"]
        rows.append([METHOD_LABELS[method], *_f1(d), *difference, *size])
    text = aligned([header, *rows])
    used, had = baselines["tfidf"]["training_rows"], baselines["majority"]["training_rows"]
    return text if used == had else f"(TF-IDF was trained on {used:,} of the {had:,} training rows)\n{text}"


def _f1(scores: Mapping[str, float]) -> list[str]:
    return [f"{scores['f1']:.4f}", f"[{scores['f1_low']:.4f}, {scores['f1_high']:.4f}]"]
