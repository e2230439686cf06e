"""F1 against trainable parameters, and learning curves."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from stages.presentation.figures import INK, METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS


@house_style()
def tradeoff_figure(metrics: Mapping[str, Mapping[str, float]], confidence: float) -> Figure:
    """Draw the macro F1 of each method on the test set, with its interval, against its trainable parameters (log axis).

    Needs `f1`, `f1_low`, `f1_high`, `trainable_parameters`, `trainable_percent` and `learned` of each method; the mark of
    one that did not learn is hollow.
    """
    figure = new_figure(7.6, 4.4)
    axes = figure.subplots()
    ordered = sorted(metrics.items(), key=lambda item: item[1]["trainable_parameters"])
    counts = [m["trainable_parameters"] for _, m in ordered]
    for place, (method, m) in enumerate(ordered):
        # a percentile interval can lie entirely on one side of the estimate; a bar cannot have a negative length
        bar = [[max(m["f1"] - m["f1_low"], 0)], [max(m["f1_high"] - m["f1"], 0)]]
        at = (m["trainable_parameters"], m["f1"])
        colour = METHOD_COLOURS[method]
        face, note = (colour, "") if m["learned"] else ("white", "\nnot shown to have learned")
        axes.errorbar(*at, yerr=bar, color=colour, fmt=METHOD_MARKERS[method], markersize=8, capsize=5, markerfacecolor=face)
        right = _has_room_right(counts, place)
        axes.annotate(
            f"{METHOD_LABELS[method]}\n{at[0]:,}\n({m['trainable_percent']:.2f} %){note}",
            at,
            xytext=(12 if right else -12, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            color=colour,
        )
    _logarithmic_counts(axes, counts)
    axes.margins(y=0.1)
    axes.set(xlabel="trainable parameters", ylabel=f"macro F1 on the test set, {100 * confidence:g} % interval")
    axes.set_title("Quality against trainable parameters", pad=10)
    return figure


def _has_room_right(counts: Sequence[float], place: int) -> bool:
    """Whether, on a logarithmic axis, the gap right of point `place` of the ascending `counts` is at least the left one."""
    if place in (0, len(counts) - 1):
        return place > 0
    return counts[place + 1] * counts[place - 1] >= counts[place] ** 2


def _logarithmic_counts(axes: Axes, counts: Sequence[float]) -> None:
    """Make the axis logarithmic, labelled 100 k, 1 M (over few decades also 200 k, 500 k), with room for names at both ends."""
    low, high = math.log10(min(counts)), math.log10(max(counts))
    room = 0.4 * max(high - low, 0.5)
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - room), 10 ** (high + room))
    steps = (1,) if high - low + 2 * room >= 2.5 else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter())


@house_style()
def learning_curves_figure(curves: Mapping[str, pd.DataFrame], best_epochs: Mapping[str, float]) -> Figure:
    """Draw validation macro F1 and training loss over the epochs, one line per method.

    `curves` holds columns epoch, f1 and train_loss; a ring marks the epoch whose weights were kept.
    """
    figure = new_figure(9.6, 4.2)
    panels = figure.subplots(1, 2)
    ring = {"marker": "o", "linestyle": "none", "markersize": 12, "markerfacecolor": "none"}
    titles = {"f1": "Validation macro F1", "train_loss": "Training loss (mean cross entropy, nats)"}
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for method, curve in curves.items():
            style = {"color": METHOD_COLOURS[method], "marker": METHOD_MARKERS[method], "markersize": 5}
            axes.plot(curve["epoch"], curve[column], label=METHOD_LABELS[method], **style)
            best = curve[curve["epoch"] == best_epochs[method]]
            axes.plot(best["epoch"], best[column], markeredgecolor=METHOD_COLOURS[method], **ring)
        axes.set_title(title, pad=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[0].plot([], [], markeredgecolor=INK, label="epoch kept", **ring)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(curves) + 1)
    return figure
