"""The figure shows every ratio with its interval, one panel per batch size, and has the same bytes every time."""

import pytest

from stages.benchmark.arms import ARMS
from stages.benchmark.figures import latency_figure
from stages.benchmark.latency import Latency
from stages.benchmark.statistics import Ratio
from stages.presentation.figures import save_figure


@pytest.fixture
def latencies():
    return [
        Latency(arm, batch_size, length, length / 10, length / 9, Ratio(1 + index / 10, 0.9 + index / 10, 1.2 + index / 10))
        for batch_size in (1, 8)
        for length in (16, 64)
        for index, arm in enumerate(ARMS)
    ]


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


def test_the_file_is_the_same_every_time(latencies, tmp_path):
    for name in ("first.png", "second.png"):
        save_figure(latency_figure(latencies), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
