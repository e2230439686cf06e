"""The reliability picture: accuracy against confidence, a panel per method."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.evaluate.calibration import Bin, expected_calibration_error
from stages.presentation.figures import INK, METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS

COLUMNS = ("method", *Bin._fields)  # of plots/reliability.csv


@house_style()
def reliability_figure(bins: Mapping[str, list[Bin]], width: float) -> Figure:
    """Draw accuracy against mean confidence in each bin, with intervals, and below how many texts each bin has.

    On the diagonal a method is right as often as it says; below it, it is too sure of itself.

    Args:
        bins: per method, of `stages.evaluate.calibration.reliability_bins`.
        width: of a bin.
    """
    figure = new_figure(3.1 * len(bins) + 0.6, 4.6)
    panels = figure.subplots(2, len(bins), sharex=True, sharey="row", height_ratios=[3, 1], squeeze=False)
    left = min(b.low for found in bins.values() for b in found)
    for (method, found), upper, lower in zip(bins.items(), panels[0], panels[1], strict=True):
        _draw_accuracy(upper, method, found, left)
        lower.bar([b.low for b in found], [b.texts for b in found], width, align="edge", color=METHOD_COLOURS[method], alpha=0.6)
        lower.set_xlabel("confidence")
        lower.set_xlim(left, 1.01)
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    panels[0, 0].set_ylabel("accuracy")
    panels[1, 0].set_ylabel("texts")
    figure.suptitle("Is a method right as often as it is sure? Test set", fontsize=11)
    return figure


def _draw_accuracy(axes: Axes, method: str, bins: list[Bin], left: float) -> None:
    confidence, accuracy = (np.array([getattr(b, key) for b in bins]) for key in ("confidence", "accuracy"))
    below = accuracy - [b.accuracy_low for b in bins]
    above = [b.accuracy_high for b in bins] - accuracy
    bars = np.maximum([below, above], 0)  # at an accuracy of 0 or 1 an end can pass the estimate by a rounding error
    axes.plot([left, 1], [left, 1], color=INK, linewidth=1, linestyle="--")
    style: dict[str, Any] = {"color": METHOD_COLOURS[method], "marker": METHOD_MARKERS[method], "markersize": 5}
    axes.errorbar(confidence, accuracy, yerr=bars, linewidth=1.2, capsize=2, clip_on=False, **style)
    axes.set_title(f"{METHOD_LABELS[method]}\nECE {expected_calibration_error(bins):.3f}", color=METHOD_COLOURS[method])
    axes.set_ylim(0, 1.02)
