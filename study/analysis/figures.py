"""The figures of the study: the dose of AWP, the learning curve, and the differences from full fine-tuning."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from stages.presentation.figures import INK, METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS
from study.analysis.tables import OFF

LABELS = METHOD_LABELS | {"head": "head only"}
COLOURS = METHOD_COLOURS | {"head": "#7F7F7F"}
MARKERS = METHOD_MARKERS | {"head": "v"}
TARGETS = {"trainable": ("-", "what it trains"), "all": ("--", "all weights")}
SETTINGS = {"none": "without AWP\nand mixout", "mixout": "mixout alone", "awp": "AWP alone", "both": "with both"}


@house_style()
def dose_figure(table: pd.DataFrame, size: str = "", note: str = "") -> Figure:
    """Draw validation F1, and the cosine of the gradients at w and w + v, against epsilon, a line per method and target.

    Args:
        table: of `study.analysis.tables.dose_table`; bars reach from its lowest to its highest seed.
        size: of the trainings, in the title: with few steps a handicap is larger than with many.
        note: what is missing, below the title.
    """
    figure = new_figure(9.8, 4.6)
    panels = figure.subplots(1, 2)
    titles = {"f1": "Validation macro F1", "cosine": "Cosine of the gradients at w and w + v"}
    figure.suptitle(_titled(f"What a dose of AWP does to each method{size and f' ({size})'}", note), fontsize=11)
    if table.empty:
        return _nothing(figure, panels)
    doses = sorted(set(table["epsilon"]) - {OFF})
    left = (doses[0] if doses else 1e-3) / 3  # where the cells without AWP stand
    for axes, (key, title) in zip(panels, titles.items(), strict=True):
        ends = []
        for (method, target), group in table.groupby(["method", "target"], sort=False):
            drawn = group[group[key].notna()]
            if drawn.empty:
                continue
            x, y = drawn["epsilon"].where(drawn["epsilon"] != OFF, left).to_numpy(), drawn[key].to_numpy()
            bars = np.maximum([y - drawn[f"{key}_min"], drawn[f"{key}_max"] - y], 0)  # a mean can round past its ends
            fill = COLOURS[method] if target == "trainable" else "white"
            style = {"color": COLOURS[method], "marker": MARKERS[method], "markersize": 5, "markerfacecolor": fill}
            axes.errorbar(x, y, yerr=bars, linestyle=TARGETS[target][0], capsize=3, elinewidth=1, **style)
            suffix = ", all" if target == "all" else ""
            ends.append((x[-1], y[-1], f"{LABELS[method]}{suffix}", COLOURS[method]))
        axes.set_ylim(float(table[f"{key}_min"].min()) - 0.04, float(table[f"{key}_max"].max()) + 0.04)
        _label_ends(axes, ends)
        _log_axis(axes, [left, *doses], ["off", *(f"{dose:g}" for dose in doses)], room=5)
        axes.set_title(title, pad=10)
        axes.set_xlabel("epsilon, ||v|| / ||w||")
    legend = "solid: AWP moves what the method trains; dashed, hollow: all weights, so that all methods meet the same move; "
    figure.supxlabel(f"{legend}bars: lowest to highest seed", fontsize=9)
    return figure


@house_style()
def rows_figure(table: pd.DataFrame, note: str = "") -> Figure:
    """Draw test F1 against training rows: a small mark per seed, a line through the means of each method.

    Args:
        table: of `study.analysis.tables.rows_table`.
    """
    figure = new_figure(7.6, 4.8)
    axes = figure.subplots()
    axes.set_title(_titled("Test macro F1 by training rows, without regularizers", note), pad=10)
    if table.empty:
        return _nothing(figure, [axes])
    ends = []
    methods = list(dict.fromkeys(table["method"]))
    for place, method in enumerate(methods):
        group = table[table["method"] == method]
        aside = 1.05 ** (place - (len(methods) - 1) / 2)  # seeds of two methods beside each other, not on top
        axes.scatter(group["rows"] * aside, group["test_f1"], s=14, color=COLOURS[method], marker=MARKERS[method], alpha=0.45)
        means = group.groupby("rows")["test_f1"].mean()
        axes.plot(means.index * aside, means, color=COLOURS[method], marker=MARKERS[method], markersize=6)
        ends.append((float(means.index[-1]) * 1.1, float(means.iloc[-1]), LABELS[method], COLOURS[method]))
    _label_ends(axes, ends)
    sizes = sorted(set(table["rows"]))
    _log_axis(axes, sizes, [f"{size:,}" for size in sizes], room=2.2)
    axes.set(xlabel="training rows", ylabel="macro F1, test set")
    return figure


@house_style()
def differences_figure(table: pd.DataFrame, margin: float, confidence: float, note: str = "") -> Figure:
    """Draw the difference from full fine-tuning in the same setting, with its interval and the margin of equivalence.

    Args:
        table: of `study.analysis.tables.differences_table`.
    """
    shown = table[table["method"].isin(["lora", "adapter"]) & table["minus_full"].notna()]
    settings = [setting for setting in SETTINGS if setting in set(shown["setting"])]
    figure = new_figure(8.2, 1.9 + 0.62 * max(len(settings), 2))
    axes = figure.subplots()
    axes.set_title(_titled("Mean over seeds of macro F1, minus that of full fine-tuning trained the same way", note), pad=10)
    if shown.empty:
        return _nothing(figure, [axes])
    axes.axvspan(-margin, margin, color="#E9E9E9", zorder=0)
    axes.axvline(0, color=INK, linewidth=1)
    beside = axes.get_yaxis_transform()  # words stand right of the axes, at the height of their bar
    for row in shown.itertuples():
        y = settings.index(row.setting) + (-0.16 if row.method == "lora" else 0.16)
        bars = [[max(row.minus_full - row.minus_full_low, 0)], [max(row.minus_full_high - row.minus_full, 0)]]
        colour = COLOURS[row.method]
        axes.errorbar([row.minus_full], [y], xerr=bars, color=colour, fmt=MARKERS[row.method], capsize=3, markersize=6)
        label = f"{LABELS[row.method]}: {row.verdict}"
        axes.text(1.012, y, label, transform=beside, color=colour, va="center", fontsize=9)
    axes.set_yticks(range(len(settings)), [SETTINGS[setting] for setting in settings])
    axes.set_ylim(len(settings) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.3g}" if abs(value) > 1e-9 else "0"))
    intervals = f"difference with {100 * confidence:g} % interval over seeds and texts, not corrected"
    axes.set_xlabel(f"{intervals}; words: corrected tests; grey: margin ±{margin:g}", fontsize=9)
    return figure


def _titled(title: str, note: str) -> str:
    return f"{title}\n{note}" if note else title


def _nothing(figure: Figure, panels: list[Axes]) -> Figure:
    for axes in panels:
        axes.text(0.5, 0.5, "no finished cell yet", ha="center", va="center", transform=axes.transAxes, color=INK)
        axes.set(xticks=[], yticks=[])
    return figure


def _log_axis(axes: Axes, places: list[float], names: list[str], room: float) -> None:
    """Make the axis logarithmic with a named tick at each of `places`, and room for names right of the last."""
    axes.set_xscale("log")
    axes.set_xticks(places, names)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(places[0] / 1.4, places[-1] * room)


def _label_ends(axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Write the name of each line right of its end (x, y, name, colour), moved apart where two would overlap."""
    low, high = axes.get_ylim()
    gap, top = 0.052 * (high - low), high + 0.052 * (high - low)
    ordered = sorted(ends, key=lambda end: end[1])
    places: list[float] = []
    for _, y, _, _ in ordered:
        places.append(max(y, places[-1] + gap) if places else y)
    for place in reversed(range(len(places))):  # those that were pushed out at the top move down, and what is below them too
        top = places[place] = min(places[place], top - gap)
    for y, (x, _, name, colour) in zip(places, ordered, strict=True):
        axes.annotate(name, (x, y), xytext=(9, 0), textcoords="offset points", color=colour, va="center", fontsize=9)
