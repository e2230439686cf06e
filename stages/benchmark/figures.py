"""The latency figure: the time of each method relative to full fine-tuning."""

from collections.abc import Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.benchmark.latency import Latency
from stages.benchmark.statistics import CONFIDENCE, Ratio
from stages.presentation.figures import METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS

COMPARED = ("lora", "lora_merged", "adapter")
_SPREAD = 0.22  # distance between two methods, as a share of that between two lengths
_COLUMNS = 4  # panels in a row
_LENGTH_WIDTH = 0.8  # inches


@house_style()
def latency_figure(latencies: Sequence[Latency]) -> Figure:
    """Draw the ratio to full fine-tuning with its interval, one panel per batch size, grouped by length.

    The line at 1 is full fine-tuning itself, whose latency in ms is given below each length. What the bars are is said below
    the panels: few rounds give no interval of 95 percent.
    """
    batch_sizes = sorted({latency.batch_size for latency in latencies})
    lengths = {latency.length for latency in latencies}
    columns = min(_COLUMNS, len(batch_sizes))
    rows = ceil(len(batch_sizes) / columns)
    # the legend and the note below need seven inches whatever the number of panels
    width = max(7.0, 2.0 + columns * max(2.4, _LENGTH_WIDTH * len(lengths)))
    figure = new_figure(width, 1.4 + 2.9 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for panel, batch_size in zip(panels, batch_sizes, strict=False):
        _draw_panel(panel, [latency for latency in latencies if latency.batch_size == batch_size])
        panel.set_title(f"batch size {batch_size}")
    for panel in panels[len(batch_sizes) :]:
        panel.set_visible(False)
    figure.supylabel("latency relative to full fine-tuning", fontsize=10)
    figure.supxlabel(f"tokens per text (below: latency of full fine-tuning)\n{interval_note(latencies[0].ratio)}", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def interval_note(ratio: Ratio) -> str:
    """Return what the bars beside the points are: an interval of 95 percent only where there were enough rounds for one."""
    if ratio.rounds == 1:
        return "one round: no interval"
    covered = f"{100 * ratio.coverage:.0f} %"
    if ratio.coverage < CONFIDENCE:
        return f"bars: the range of {ratio.rounds} rounds, which holds the true median with a probability of only {covered}"
    return f"bars: interval of the median of {ratio.rounds} rounds, coverage {covered}"


def _draw_panel(panel: Axes, latencies: Sequence[Latency]) -> None:
    lengths = sorted({latency.length for latency in latencies})
    panel.axhline(1, color=METHOD_COLOURS["full"], label=METHOD_LABELS["full"])
    for index, arm in enumerate(COMPARED):
        rows = sorted((row for row in latencies if row.arm == arm), key=lambda row: row.length)
        values = [row.ratio.value for row in rows]
        below = [row.ratio.value - row.ratio.low for row in rows]
        above = [row.ratio.high - row.ratio.value for row in rows]
        panel.errorbar(
            [position + _SPREAD * (index - 1) for position in range(len(lengths))],
            values,
            yerr=[below, above],
            fmt=METHOD_MARKERS[arm],
            color=METHOD_COLOURS[arm],
            capsize=3,
            label=METHOD_LABELS[arm],
        )
    full_ms = {row.length: row.median_ms for row in latencies if row.arm == "full"}
    panel.set_xticks(range(len(lengths)), [f"{length}\n{full_ms[length]:.3g} ms" for length in lengths])
    panel.set_xlim(-0.5, len(lengths) - 0.5)
    panel.grid(visible=False, axis="x")
