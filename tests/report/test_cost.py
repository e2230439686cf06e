"""Cost against quality: what the table adds up, and which methods none other beats."""

import pandas as pd

from stages.report.cost import COSTS, cost_figure, cost_table, frontier, tidy_costs
from tests.report.conftest import unlearned


def test_training_time_is_the_steps_taken_times_what_a_step_takes(facts):
    """A step of two micro-batches counts two perturbations."""
    for log in facts.training.values():
        log.update(optimizer_steps=100, awp_steps=80, accumulation_steps=2)
    table = cost_table(facts).set_index("method")
    assert table.loc["lora", "training_s"] == (60 * 20 + 40 * 30) / 1000
    assert table.loc["lora", "peak_mib"] == 330.0  # with AWP, which is on
    assert table.loc["lora_merged", "f1"] == facts.quality["lora"]["f1"]
    assert table.loc["adapter", "latency_ms"] == 11.0  # batch 1


def test_without_awp_the_peak_is_that_of_a_plain_step(own_facts):
    facts = own_facts("a", "b", awp={"enabled": False})
    for log in facts.training.values():
        log.update(optimizer_steps=100, awp_steps=0)
    assert cost_table(facts)["peak_mib"].unique().tolist() == [321.0]


def test_the_frontier_is_what_none_other_beats():
    table = pd.DataFrame(
        [("full", 0.9, 10.0), ("lora", 0.9, 5.0), ("lora_merged", 0.8, 6.0), ("adapter", 0.7, 1.0)], columns=["method", "f1", "x"]
    )
    assert frontier(table, "x") == ["adapter", "lora"]
    assert frontier(table.assign(f1=0.5, x=1.0), "x") == ["full", "lora", "lora_merged", "adapter"]  # all alike


def test_the_file_has_a_row_for_each_arm_and_cost_with_its_ratio_to_full(facts):
    for log in facts.training.values():
        log.update(optimizer_steps=100, awp_steps=40)
    table = cost_table(facts)
    wide = table.set_index("method")
    tidy = tidy_costs(table, dict.fromkeys(table["method"], True))
    assert len(tidy) == len(table) * len(COSTS)
    assert {*zip(tidy["cost"], tidy["unit"], strict=True)} == {
        ("training", "s"), ("peak", "MiB"), ("checkpoint", "MiB"), ("latency", "ms")
    }  # fmt: skip
    for row in tidy.itertuples():
        column = f"{row.cost}_{row.unit.lower()}"
        assert row.value == wide.loc[row.arm, column]
        assert row.relative_to_full == round(row.value / wide.loc["full", column], 4)
        assert row.f1 == wide.loc[row.arm, "f1"] and row.on_frontier == (row.arm in frontier(table, column))
    nobody = tidy_costs(table, dict.fromkeys(table["method"], False))
    assert tidy["on_frontier"].any() and not nobody["on_frontier"].any()


def test_the_figure_has_a_panel_for_each_cost_and_no_frontier_of_what_did_not_learn(own_facts):
    facts = unlearned(own_facts("a", "b"), "full", "lora", "adapter")
    for log in facts.training.values():
        log.update(optimizer_steps=100)
    table = cost_table(facts)
    figure = cost_figure(table, dict.fromkeys(table["method"], False), 0.95, " (batch 1)")
    assert len(figure.axes) == len(COSTS)
    lines = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "--"]
    assert len(lines) == len(COSTS) and not any(len(line.get_xdata()) for line in lines)
