"""The value that tells whether an earlier table belongs to a run."""

import pandas as pd
import pytest

from stages.report.setting import REGULARIZERS, TUNED, setting
from tests.imports import ROOT


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 14},
        {"data": {"max_length": 64}},
        {"data": {"limit": 400}},
        {"data": {"rare_classes": "drop"}},
        {"model": {"source": "local"}},
        {"train": {"batch_size": 64}},
        {"train": {"class_weights": "balanced"}},
        {"peft": {"rank": 4}},
        {"peft": {"target": "all"}},
        {"peft": {"init": "pissa"}},
        {"peft": {"use_dora": True}},
        {"peft": {"adapter": "houlsby"}},
        {"train": {"precision": "bf16"}},
        {"awp": {"box": 0.01}},
        {"awp": {"epsilon": 0.02}},
        {"mixout": {"p": 0.2}},
    ],
)
def test_what_changes_the_outcome_changes_the_value(params, with_params, change):
    assert setting(with_params(**change)) != setting(params)


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"micro_batch_size": 8}},
        {"train": {"launcher": "torchrun --standalone --nproc-per-node=2"}},
        {"evaluate": {"bootstrap_samples": 500}},
        {"benchmark": {"repeats": 3}},
        {"model": {"local": {"path": "x"}}},  # not the source here
        {"data": {"rare_class_min": 5}},  # refuses rare classes, or there are none
        {"peft": {"scaling": 2.0}},  # of the parallel adapter
        {"awp": {"step": 0.5}},  # without a box
    ],
)
def test_what_does_not_change_the_outcome_leaves_it(params, with_params, change):
    assert setting(with_params(**change)) == setting(params)


def test_parameters_can_be_left_out(params, with_params):
    other = with_params(awp={"enabled": False}, mixout={"enabled": False})
    assert setting(other, REGULARIZERS) == setting(params, REGULARIZERS) != setting(other)
    assert setting(with_params(train={"epochs": 2}), TUNED) == setting(params, TUNED)
    assert setting(with_params(train={"weight_decay": 0.5}), TUNED) != setting(params, TUNED)


def test_the_same_parameters_have_the_same_value_in_another_process(params):
    """Tables are committed: the value must not depend on the run."""
    assert setting(params) == setting(type(params).model_validate(params.model_dump()))
    assert len(setting(params)) == 12


def test_what_needs_another_parameter_counts_with_it(params, with_params):
    parallel = [with_params(peft={"adapter": "parallel", "scaling": factor}) for factor in (1.0, 4.0)]
    boxed = [with_params(awp={"box": 0.01, "step": step}) for step in (1e-4, 1e-3)]
    assert len({setting(changed) for changed in (params, *parallel, *boxed)}) == 5


def test_tables_from_before_a_parameter_existed_still_belong_to_runs_with_its_first_value(params):
    """The value of the committed settings, written before the parameters in AS_BEFORE; tables of that time have it."""
    tables = {"learning_rates": TUNED, "ablation": REGULARIZERS}
    for table, without in tables.items():
        written = set(pd.read_csv(ROOT / "metrics" / f"{table}.csv")["setting"])
        assert written == {setting(params, without)}
