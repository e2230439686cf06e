"""The value that tells whether an earlier table belongs to a run."""

import pytest

from stages.report.setting import REGULARIZERS, TUNED, setting


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
