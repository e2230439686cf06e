"""The figures show their numbers, for odd inputs too, and have the same bytes when drawn twice."""

import warnings

import numpy as np
import pandas as pd
import pytest

from stages.evaluate.class_figures import confusion_figure, f1_by_class_figure
from stages.evaluate.figures import learning_curves_figure, tradeoff_figure
from stages.presentation.figures import METHOD_COLOURS, save_figure

PNG = b"\x89PNG\r\n\x1a\n"


def point(trainable: int, f1: float) -> dict[str, float]:
    share = {"trainable_parameters": trainable, "trainable_percent": trainable / 1e5}
    return {"f1": f1, "f1_low": f1 - 0.02, "f1_high": f1 + 0.01, "learned": True, **share}


def points() -> dict[str, dict[str, float]]:
    return {"full": point(10_000_000, 0.88), "lora": point(100_000, 0.86), "adapter": point(200_000, 0.87)}


def curves() -> dict[str, pd.DataFrame]:
    epochs = {"full": 3, "lora": 5, "adapter": 1}
    return {
        method: pd.DataFrame({"epoch": np.arange(1, n + 1), "f1": 1 - 0.5 ** np.arange(1, n + 1), "train_loss": 0.5})
        for method, n in epochs.items()
    }


FIGURES = {
    "confusion": lambda: confusion_figure(np.array([[50, 3], [7, 40]]), ["negative", "positive"], "LoRA"),
    "f1_by_class": lambda: f1_by_class_figure(
        {"full": np.array([0.5, 1]), "lora": np.array([0.2, 0.6])}, np.array([3, 4]), ["a", "b"]
    ),
    "tradeoff": lambda: tradeoff_figure(points(), 0.95),
    "learning_curves": lambda: learning_curves_figure(curves(), {"full": 2, "lora": 4, "adapter": 1}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_drawn_twice_has_the_same_bytes(name, tmp_path):
    save_figure(FIGURES[name](), tmp_path / "first.png")
    save_figure(FIGURES[name](), tmp_path / "second.png")
    content = (tmp_path / "first.png").read_bytes()
    assert content.startswith(PNG) and b"Software" not in content
    assert content == (tmp_path / "second.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.png", "second.png"]


def test_the_tradeoff_has_a_bar_and_a_name_per_method_on_a_log_axis():
    (axes,) = FIGURES["tradeoff"]().axes
    assert axes.get_xscale() == "log"
    assert {text.get_color() for text in axes.texts} == {METHOD_COLOURS[m] for m in ("full", "lora", "adapter")}
    assert "LoRA\n100,000\n(1.00 %)" in [text.get_text() for text in axes.texts]
    bars = {tuple(np.round(bar.lines[2][0].get_segments()[0].ravel(), 6)) for bar in axes.containers}
    ends = [(p["trainable_parameters"], p["f1_low"], p["f1_high"]) for p in points().values()]
    assert bars == {(x, low, x, high) for x, low, high in ends}


@pytest.mark.parametrize("counts", [(100, 100, 100), (5000, 4000, 3000), (10**9, 10, 10**8)])
def test_the_tradeoff_is_drawn_for_any_counts_and_an_estimate_outside_its_interval(counts, tmp_path):
    metrics = {m: point(n, 0.5) for m, n in zip(("full", "lora", "adapter"), counts, strict=True)}
    metrics["lora"]["f1_high"] = 0.49
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(tradeoff_figure(metrics, 0.9), tmp_path / "tradeoff.png")
    assert (tmp_path / "tradeoff.png").read_bytes().startswith(PNG)


def test_a_method_that_did_not_learn_has_a_hollow_mark_and_says_so():
    metrics = points()
    metrics["lora"]["learned"] = False
    (axes,) = tradeoff_figure(metrics, 0.95).axes
    assert [text.get_text().count("not shown to have learned") for text in axes.texts] == [
        1,
        0,
        0,
    ]  # LoRA has the fewest parameters
    faces = [bar.lines[0].get_markerfacecolor() for bar in axes.containers]
    assert faces == ["white", METHOD_COLOURS["adapter"], METHOD_COLOURS["full"]]


def test_the_curves_show_the_data_and_ring_the_epoch_kept():
    quality, loss = FIGURES["learning_curves"]().axes
    lines = {line.get_label(): line for line in quality.lines}
    assert lines["LoRA"].get_ydata() == pytest.approx(curves()["lora"]["f1"])
    rings = [line for line in quality.lines if line.get_markerfacecolor() == "none" and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in rings] == [[2], [4], [1]]
    assert len(loss.lines) == 6
