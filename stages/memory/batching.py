"""How the batch of an optimizer step is cut into micro-batches for one or more processes."""

from dataclasses import dataclass

from stages.project.errors import UserError


@dataclass(frozen=True)
class Batching:
    """How the batch of an optimizer step is cut: batch_size = micro_batch_size x accumulation_steps x processes.

    Attributes:
        micro_batch_size: texts of one forward and backward pass of one process.
        accumulation_steps: such passes per process and optimizer step.
    """

    micro_batch_size: int
    accumulation_steps: int


def share_batch(batch_size: int, micro_batch_size: int, processes: int) -> Batching:
    """Cut `batch_size` texts into micro-batches for several processes.

    Raises:
        UserError: the texts cannot be shared without a remainder.
    """
    steps, rest = divmod(batch_size, micro_batch_size * processes)
    if rest or not steps:
        raise UserError(
            f"train.batch_size: must be a multiple of micro_batch_size x processes = {micro_batch_size} x {processes}, "
            f"received {batch_size}; change one of them"
        )
    return Batching(micro_batch_size, steps)


def divisors(number: int) -> list[int]:
    """All divisors of `number`, in ascending order."""
    return [size for size in range(1, number + 1) if number % size == 0]
