"""The figure shows every ratio with its interval, one panel per batch size, nothing cut off, the same bytes every time."""

import io

import pytest

from stages.benchmark.arms import ARMS
from stages.benchmark.figures import interval_note, latency_figure
from stages.benchmark.latency import Latency
from stages.benchmark.statistics import Ratio
from stages.presentation.figures import save_figure


def grid(batch_sizes, lengths, rounds=20, coverage=0.9586) -> list[Latency]:
    def ratio(index: int) -> Ratio:
        return Ratio(1 + index / 10, 0.9 + index / 10, 1.2 + index / 10, rounds, coverage)

    return [
        Latency(arm, batch_size, length, length / 10, length / 9, ratio(index))
        for batch_size in batch_sizes
        for length in lengths
        for index, arm in enumerate(ARMS)
    ]


@pytest.fixture
def latencies():
    return grid((1, 8), (16, 64))


def test_one_panel_per_batch_size(latencies):
    panels = latency_figure(latencies).axes
    assert [panel.get_title() for panel in panels] == ["batch size 1", "batch size 8"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["16\n1.6 ms", "64\n6.4 ms"]


def test_points_and_whiskers_are_the_ratios(latencies):
    panel = latency_figure(latencies).axes[1]
    drawn = {container.get_label(): container for container in panel.containers}
    assert list(drawn) == ["LoRA", "LoRA, merged", "adapter"]
    points, _, (whiskers,) = drawn["adapter"].lines
    assert list(points.get_ydata()) == pytest.approx([1.3, 1.3])
    low, high = whiskers.get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((1.2, 1.5))


@pytest.mark.parametrize(("batch_sizes", "lengths"), [((1,), (16,)), ((1, 8), (16,)), ((1, 2, 4, 8, 16), (8, 16, 32, 64, 128))])
def test_nothing_is_cut_off(batch_sizes, lengths):
    figure = latency_figure(grid(batch_sizes, lengths, rounds=2, coverage=0.5))
    figure.savefig(io.BytesIO(), format="png")  # the layout is made while drawing
    width, height = figure.bbox.size
    for artist in [*figure.legends, *figure.texts, figure._supxlabel, figure._supylabel]:
        box = artist.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, artist


@pytest.mark.parametrize(
    ("rounds", "coverage", "note"),
    [
        (20, 0.9586, "bars: interval of the median of 20 rounds, coverage 96 %"),
        (2, 0.5, "bars: the range of 2 rounds, which holds the true median with a probability of only 50 %"),
        (1, 0.0, "one round: no interval"),
    ],
)
def test_the_bars_are_called_an_interval_only_where_they_are_one(rounds, coverage, note):
    assert interval_note(Ratio(1.0, 0.9, 1.1, rounds, coverage)) == note
    assert latency_figure(grid((1,), (16,), rounds, coverage))._supxlabel.get_text().endswith(note)


def test_the_file_is_the_same_every_time(latencies, tmp_path):
    for name in ("first.png", "second.png"):
        save_figure(latency_figure(latencies), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
