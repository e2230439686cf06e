"""Cost against quality: what every method takes in training time, memory, disk and latency for its F1, and the frontier."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, NullFormatter

from stages.presentation.figures import INK, METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS
from stages.report.facts import ARMS, Facts

WIDE = 20  # a cost that differs by more than this factor is drawn on a logarithmic axis
FRONTIER: dict[str, Any] = {
    "color": INK, "linestyle": "--", "linewidth": 1, "marker": "o", "markersize": 14, "markerfacecolor": "none",
}  # fmt: skip
SCORES = ("f1", "f1_low", "f1_high")
COSTS = {
    "training_s": "time of all training steps, s",
    "peak_mib": "measured peak memory of training, MiB",
    "checkpoint_mib": "checkpoint, MiB",
    "latency_ms": "latency of one forward pass, ms",
}
UNITS = {"s": "s", "ms": "ms", "mib": "MiB"}  # by the ending of a column


def cost_table(facts: Facts) -> pd.DataFrame:
    """Return a row per arm: its F1 with interval, and the four costs of `COSTS`.

    training_s: optimizer steps of the training times the measured time of a step, with and without AWP as they were taken (a
    step on texts of median length, so without validation and loading). peak_mib: measured, with AWP if it was on.
    latency_ms: median for the smallest batch and the longest input of the benchmark. Merged LoRA has the quality, training
    and checkpoint of LoRA.
    """
    size, length = facts.latency["batch_size"].min(), facts.latency["length"].max()
    shape = facts.latency[(facts.latency["batch_size"] == size) & (facts.latency["length"] == length)].set_index("method")
    rows = []
    for arm in ARMS:
        method = "lora" if arm == "lora_merged" else arm
        quality, log, timing = facts.quality[method], facts.training[method], facts.timing[arm]
        perturbed = log["awp_steps"] / log["accumulation_steps"]  # AWP acts once for each micro-batch
        plain_steps = log["optimizer_steps"] - perturbed
        seconds = (plain_steps * timing["step_ms"] + perturbed * timing["step_awp_ms"]) / 1000
        peak = facts.conditions["peak_awp_mib"][method] if facts.params.awp.enabled else timing["peak_mib"]
        costs = (round(seconds, 1), peak, quality["checkpoint_mib"], float(shape.loc[arm, "median_ms"]))
        rows.append((arm, *(quality[score] for score in SCORES), *costs))
    return pd.DataFrame(rows, columns=["method", *SCORES, *COSTS])


def frontier(table: pd.DataFrame, cost: str) -> list[str]:
    """Return the arms that no other beats, by ascending cost: none is at least as good and as cheap, and better in one."""
    best: list[str] = []
    for arm, f1, price in table[["method", "f1", cost]].itertuples(index=False):
        others = table[(table["f1"] >= f1) & (table[cost] <= price) & ((table["f1"] > f1) | (table[cost] < price))]
        if others.empty:
            best.append(arm)
    prices = table.set_index("method")[cost]
    return sorted(best, key=lambda arm: prices[arm])


def tidy_costs(table: pd.DataFrame, learned: Mapping[str, bool]) -> pd.DataFrame:
    """Return a row per arm and cost: its unit and value, its ratio to that of full fine-tuning, F1, and whether none beats it.

    Args:
        table: as `cost_table` returns it.
        learned: whether the method of an arm learned; one that did not is never on the frontier.
    """
    full = table.set_index("method").loc["full"]
    rows = []
    for cost in COSTS:
        name, _, unit = cost.rpartition("_")
        best = frontier(table[[learned[arm] for arm in table["method"]]], cost)
        for row in table.to_dict("records"):
            ratio = round(row[cost] / full[cost], 4) if full[cost] else None
            scores = (row[score] for score in SCORES)
            rows.append((row["method"], name, UNITS[unit], row[cost], ratio, *scores, row["method"] in best))
    return pd.DataFrame(rows, columns=["arm", "cost", "unit", "value", "relative_to_full", *SCORES, "on_frontier"])


@house_style()
def cost_figure(table: pd.DataFrame, learned: Mapping[str, bool], confidence: float, latency: str) -> Figure:
    """Draw F1 with its interval against each cost, a panel per cost; rings and a line mark the frontier.

    Args:
        table: as `cost_table` returns it.
        learned: whether the method of an arm learned; the mark of one that did not is hollow and never on the frontier.
        latency: the batch size and length of the latency, for the axis.
    """
    figure = new_figure(9.6, 6.6)
    panels = figure.subplots(2, 2, sharey=True).flat
    for axes, (cost, title) in zip(panels, COSTS.items(), strict=True):
        # merged LoRA differs from LoRA in latency only
        rows = table if cost == "latency_ms" else table[table["method"] != "lora_merged"]
        _draw(axes, rows, cost, learned)
        axes.set_xlabel(f"{title}{latency if cost == 'latency_ms' else ''}")
    for axes in figure.axes[::2]:
        axes.set_ylabel(f"macro F1, {100 * confidence:g} % interval")
    marks = [
        Line2D([], [], color=METHOD_COLOURS[arm], marker=METHOD_MARKERS[arm], linestyle="none", label=METHOD_LABELS[arm])
        for arm in ARMS
    ]
    line = Line2D([], [], label="frontier: none is cheaper and as good", **FRONTIER)
    figure.legend(handles=[*marks, line], loc="outside lower center", ncols=len(marks) + 1)
    figure.suptitle("Quality against cost: higher and further left is better")
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, cost: str, learned: Mapping[str, bool]) -> None:
    best = frontier(rows[[learned[arm] for arm in rows["method"]]], cost)
    line = rows.set_index("method").loc[best]
    axes.plot(line[cost], line["f1"], zorder=1, **FRONTIER)
    for row in rows.itertuples():
        # a percentile interval can lie entirely on one side of the estimate; a bar cannot have a negative length
        bar = [[max(row.f1 - row.f1_low, 0)], [max(row.f1_high - row.f1, 0)]]
        colour = METHOD_COLOURS[row.method]
        face = colour if learned[row.method] else "white"
        at = (getattr(row, cost), row.f1)
        axes.errorbar(*at, yerr=bar, color=colour, fmt=METHOD_MARKERS[row.method], markersize=7, capsize=4, markerfacecolor=face)
    low, high = rows[cost].min(), rows[cost].max()
    if low > 0 and high > WIDE * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))  # no formulas: `house_style` does not draw them
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low / 2, 2 * high)
    else:
        axes.set_xlim(0, 1.08 * high or 1)
