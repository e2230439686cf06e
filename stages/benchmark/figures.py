"""The latency figure: the time of each method relative to full fine-tuning."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.benchmark.latency import Latency
from stages.presentation.figures import METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure
from stages.presentation.titles import METHOD_LABELS

COMPARED = ("lora", "lora_merged", "adapter")
_SPREAD = 0.22  # distance between two methods, as a share of that between two lengths


@house_style()
def latency_figure(latencies: Sequence[Latency]) -> Figure:
    """Draw the ratio to full fine-tuning, one panel per batch size, grouped by length, with 95 percent intervals.

    The line at 1 is full fine-tuning itself, whose latency in ms is given below each length.
    """
    batch_sizes = sorted({latency.batch_size for latency in latencies})
    figure = new_figure(2.0 + 2.8 * len(batch_sizes), 4.0)
    panels = figure.subplots(1, len(batch_sizes), sharey=True, squeeze=False)[0]
    for panel, batch_size in zip(panels, batch_sizes, strict=True):
        _draw_panel(panel, [latency for latency in latencies if latency.batch_size == batch_size])
        panel.set_title(f"batch size {batch_size}")
    panels[0].set_ylabel("latency relative to full fine-tuning")
    figure.supxlabel("tokens per text (below: latency of full fine-tuning)", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


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
