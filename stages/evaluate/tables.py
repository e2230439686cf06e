"""What the evaluation prints, and the classification report."""

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.metrics import classification_report

from stages.evaluate.results import REFERENCE
from stages.presentation.titles import METHOD_LABELS

_WIDEST_MATRIX = 20  # classes; a wider matrix is unreadable in a terminal and is in plots/confusion only


def report_text(method: str, labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> str:
    """Return scikit-learn's classification report of the test set, below a line with the method and the number of rows."""
    classes = {"labels": np.arange(len(class_names)), "target_names": list(class_names)}
    body = classification_report(labels, predictions, **classes, digits=4, zero_division=0)
    return f"{METHOD_LABELS[method]} on the test set, {len(labels)} rows\n\n{body}"


def confusion_text(matrix: np.ndarray, class_names: Sequence[str]) -> str:
    """Return a confusion matrix (K, K) of counts as text: one row per actual class, with its recall at the end."""
    if len(class_names) > _WIDEST_MATRIX:
        return f"(a matrix of {len(class_names)} classes is too wide to print)"
    totals = matrix.sum(axis=1)
    recalls = [f"{hits / total:.4f}" if total else "-" for hits, total in zip(matrix.diagonal(), totals, strict=True)]
    rows = [[name, *map(str, row), recall] for name, row, recall in zip(class_names, matrix, recalls, strict=True)]
    return aligned([["actual \\ predicted", *class_names, "recall"], *rows])


def summary_text(metrics: Mapping[str, Mapping[str, float]], confidence: float) -> str:
    """Return one line per method: macro F1 and its difference from full fine-tuning, with intervals, and sizes."""
    share = f"{100 * confidence:g} %"
    header = ["method", "macro F1", share, "minus full", share, "trainable", "checkpoint MiB"]
    rows = []
    for method, m in metrics.items():
        difference = ["", ""]
        if method != REFERENCE:
            interval = f"[{m['f1_minus_full_low']:+.4f}, {m['f1_minus_full_high']:+.4f}]"
            difference = [f"{m['f1_minus_full']:+.4f}", interval]
        f1 = [f"{m['f1']:.4f}", f"[{m['f1_low']:.4f}, {m['f1_high']:.4f}]"]
        size = [f"{m['trainable_parameters']:,}", f"{m['checkpoint_mib']:.2f}"]
        rows.append([METHOD_LABELS[method], *f1, *difference, *size])
    return aligned([header, *rows])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` as columns two spaces apart, the first flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
