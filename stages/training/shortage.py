"""End a training for which memory does not suffice in one message."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stages.project.errors import UserError
from stages.project.schema import Params

OF_THE_HOST = "can't allocate memory"  # PyTorch has no class of its own for memory that the system refuses
ALLOCATOR = "DefaultCPUAllocator: "  # behind it the message says what was asked for


@contextmanager
def telling_of_shortage(params: Params) -> Iterator[None]:
    """Turn the end of memory, of a GPU or of the host, into a message that names what needs less.

    Raises:
        UserError: memory ran out in the block.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and OF_THE_HOST not in str(error):
            raise
        train = params.train
        less = ["set train.micro_batch_size to auto, and train.memory_budget_gib to what the device has"]
        if train.micro_batch_size != "auto":
            less.insert(0, "lower train.micro_batch_size")
        if not train.gradient_checkpointing:
            less.append("set train.gradient_checkpointing to true")
        size = ". ".join(str(error).rpartition(ALLOCATOR)[2].split(". ")[:2]).strip().removesuffix(".")
        raise UserError(
            f"train.micro_batch_size: memory ran out, received {train.micro_batch_size}; {', or '.join(less)} ({size})"
        ) from None
