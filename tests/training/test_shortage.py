"""Memory that does not suffice ends in one message; any other error stays what it is."""

import pytest
import torch

from stages.project.errors import UserError
from stages.training.shortage import telling_of_shortage


def test_memory_that_the_system_refuses_is_told_with_what_needs_less(params):
    with pytest.raises(UserError) as told, telling_of_shortage(params):
        torch.empty(2**55)
    assert str(told.value).startswith(
        "train.micro_batch_size: memory ran out, received 16; lower train.micro_batch_size, or set train.micro_batch_size to auto"
    )
    assert "or set train.gradient_checkpointing to true (can't allocate memory: you tried to allocate " in str(told.value)


def test_what_is_set_already_is_not_proposed(with_params):
    params = with_params(train={"micro_batch_size": "auto", "gradient_checkpointing": True})
    with pytest.raises(UserError) as told, telling_of_shortage(params):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has")
    assert str(told.value) == (
        "train.micro_batch_size: memory ran out, received auto; set train.micro_batch_size to auto, and train.memory_budget_gib "
        "to what the device has (CUDA out of memory. Tried to allocate 20.00 MiB)"
    )


def test_another_error_is_raised_as_it_is(params):
    with pytest.raises(RuntimeError, match="shapes"), telling_of_shortage(params):
        raise RuntimeError("shapes do not fit")
