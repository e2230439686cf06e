"""Figures with a row per class: the confusion matrix, and F1 of each class.

They stay readable for any number of classes and any names: up to `MOST_NAMED` classes all are shown, by name; of more only
those with the most errors, and the title says so.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stages.classifier.confusions import most_confused, most_erring
from stages.presentation.figures import INK, METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.labels import NUMBERED, figure_labels
from stages.presentation.titles import METHOD_LABELS

MOST_ANNOTATED = 12  # classes; in a larger matrix the numbers in the cells would overlap
MOST_NAMED = 60  # classes whose names fit along one axis
SELECTED = 40  # classes that are shown where there are more than that
LONGEST_NAME = 24  # characters
_LONGEST_LEVEL_NAME = 11  # characters that fit below one cell without turning the name
_SPREAD = 0.2  # of the distance between two classes, how far the marks of the methods stand above and below its line
_LEAST_RANGE = 0.1  # of F1, along the axis


@house_style()
def confusion_figure(matrix: np.ndarray, class_names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix (K, K) of counts, a row per actual class; for many classes also the most confused pairs.

    The colour is the share of the actual class, on a fixed scale from 0 to 1 so that matrices can be compared; up to
    `MOST_ANNOTATED` classes the cells also give count and percent. A class without texts has an empty row.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)
    names = figure_labels(class_names, LONGEST_NAME)
    if len(names) <= MOST_ANNOTATED:
        side = 1.1 + 1.15 * len(names)
        figure = new_figure(side + 1.9, side + 0.6, layout="compressed")
        axes = figure.subplots()
        _draw_matrix(axes, shares, names)
        _write_cells(axes, matrix, shares)
    else:
        shown = np.arange(len(names)) if len(names) <= MOST_NAMED else most_erring(matrix, SELECTED)
        if len(shown) < len(names):
            title += f"\nthe {len(shown)} of {len(names)} classes with the most errors"
        side = 3.2 + 0.17 * len(shown)
        figure = new_figure(side + 1.6, side + 3.0)
        axes, pairs = figure.subplots(2, 1, height_ratios=[side, 2.4])
        _draw_matrix(axes, shares[np.ix_(shown, shown)], [names[k] for k in shown], fontsize=8)
        _draw_pairs(pairs, matrix, names)
    axes.set(xlabel="predicted" + _note(names), ylabel="actual")
    axes.set_title(title, pad=10)
    percent = PercentFormatter(1.0, decimals=0, symbol=" %")
    bar = figure.colorbar(axes.images[0], ax=axes, shrink=0.9, aspect=18, format=percent, label="share of the actual class")
    bar.outline.set_visible(False)
    return figure


def _note(names: Sequence[str]) -> str:
    """Return a line for below the axis where some of the labels `names` are numbers."""
    numbered = any(NUMBERED.search(name) for name in names)
    return "\n[n]: the name of class n cannot be drawn here, the key is in reports/" if numbered else ""


def _draw_matrix(axes: Axes, shares: np.ndarray, names: Sequence[str], fontsize: float = 10) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    level = len(names) <= MOST_ANNOTATED and max(map(len, names)) <= _LONGEST_LEVEL_NAME
    axes.set_xticks(range(len(names)), names, rotation=0 if level else 90, fontsize=fontsize)
    axes.set_yticks(range(len(names)), names, fontsize=fontsize)


def _write_cells(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    """Write count and row percent into each cell, light on dark and dark on light."""
    for (row, column), count in np.ndenumerate(matrix):
        share = shares[row, column]
        if not np.isnan(share):
            colour = "white" if share > 0.55 else INK
            axes.text(column, row, f"{count:,}\n{100 * share:.1f} %", ha="center", va="center", color=colour)


def _draw_pairs(axes: Axes, matrix: np.ndarray, names: Sequence[str]) -> None:
    """Draw the most confused pairs as bars, with count and share of the actual class."""
    pairs = most_confused(matrix)
    title = f"The {len(pairs)} most confused pairs, actual → predicted: texts (share of the actual class)"
    axes.set_title(title if pairs else "No text was confused", pad=10)
    axes.set_yticks(range(len(pairs)), [f"{names[p.actual]} → {names[p.predicted]}" for p in pairs], fontsize=8)
    bars = axes.barh(range(len(pairs)), [p.texts for p in pairs], color="#9ECAE1", height=0.7)
    shares = [p.texts / matrix[p.actual].sum() for p in pairs]
    axes.bar_label(bars, [f"{p.texts:,} ({100 * s:.0f} %)" for p, s in zip(pairs, shares, strict=True)], padding=4, fontsize=8)
    axes.set_ylim(max(len(pairs), 1) - 0.5, -0.5)
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


@house_style()
def f1_by_class_figure(f1: Mapping[str, np.ndarray], rows: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw the F1 of each class on the test set, one mark per method, and the mean (macro F1) as a line per method.

    Up to `MOST_ANNOTATED` classes stand in their own order, more by falling mean F1 of the methods. The axis covers the scores
    that are drawn, and at least 0.1, since methods seldom differ by more than a few hundredths.

    Args:
        f1: per method, the F1 of each class, shape (K,).
        rows: how many rows of the test set each class has, shape (K,).
    """
    names = figure_labels(class_names, LONGEST_NAME)
    shown, title = np.arange(len(names)), "F1 of each class on the test set (rows there)"
    if len(names) > MOST_ANNOTATED:
        shown = np.argsort(-np.mean(list(f1.values()), axis=0), kind="stable")
    if len(names) > MOST_NAMED:
        shown, title = shown[-SELECTED:], f"{title},\nthe {SELECTED} of {len(names)} classes with the lowest"
    figure = new_figure(7.6, 1.7 + 0.2 * len(shown) + (0.3 if len(shown) < 8 else 0))
    axes = figure.subplots()
    shifts = np.linspace(-_SPREAD, _SPREAD, len(f1)) if len(f1) > 1 else [0]  # marks of equal scores would hide each other
    for shift, (method, scores) in zip(shifts, f1.items(), strict=True):
        colour, marker, label = METHOD_COLOURS[method], METHOD_MARKERS[method], METHOD_LABELS[method]
        places = np.arange(len(shown)) + shift
        axes.scatter(scores[shown], places, s=30, color=colour, marker=marker, alpha=0.9, label=label, clip_on=False, zorder=3)
        axes.axvline(scores.mean(), color=colour, linewidth=1, linestyle="--", alpha=0.7)
    axes.plot([], [], color=INK, linewidth=1, linestyle="--", alpha=0.7, label="macro F1")
    axes.set_yticks(range(len(shown)), [f"{names[k]} ({rows[k]:,})" for k in shown], fontsize=10 if len(shown) < 20 else 8)
    axes.set(xlabel="F1" + _note(names), xlim=_range_of(f1, shown), ylim=(len(shown) - 0.5, -0.5))
    axes.set_title(title, pad=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(f1) + 1)
    return figure


def _range_of(f1: Mapping[str, np.ndarray], shown: np.ndarray) -> tuple[float, float]:
    """Return where an axis begins and ends that shows the F1 of the classes `shown` and all macro F1, within 0 to 1."""
    drawn = np.concatenate([[*scores[shown], scores.mean()] for scores in f1.values()])
    low, high = drawn.min(), drawn.max()
    margin = max(0.08 * (high - low), (_LEAST_RANGE - (high - low)) / 2)
    return max(low - margin, -0.02), min(high + margin, 1.02)
