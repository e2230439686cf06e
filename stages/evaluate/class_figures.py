"""Figures with a row per class: F1 of each class."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from stages.presentation.figures import METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS


@house_style()
def f1_by_class_figure(f1: Mapping[str, np.ndarray], rows: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw the F1 of each class on the test set, one mark per method.

    Args:
        f1: per method, the F1 of each class, shape (K,).
        rows: how many rows of the test set each class has, shape (K,).
    """
    figure = new_figure(7.6, 1.6 + 0.24 * len(class_names))
    axes = figure.subplots()
    places = np.arange(len(class_names))
    for method, scores in f1.items():
        axes.scatter(scores, places, 36, METHOD_COLOURS[method], METHOD_MARKERS[method], label=METHOD_LABELS[method])
    names = [f"{name} ({count:,})" for name, count in zip(class_names, rows, strict=True)]
    axes.set_yticks(places, names, parse_math=False)
    axes.set(xlabel="F1", xlim=(-0.02, 1.02), ylim=(len(class_names) - 0.5, -0.5))
    axes.set_title("F1 of each class on the test set (rows in the test set)", pad=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(f1))
    return figure
