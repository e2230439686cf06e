"""How many texts go through the model at a time, so that training stays within a budget of memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from stages.config import Params
from stages.errors import UserError
from stages.machine import pick_device
from stages.measuring.inputs import RandomInputs
from stages.memory.predict import MIB, PredictedMemory, predict_training_memory
from stages.processes import process_count

# What a device has to hold beside the tensors: the CUDA context with its kernels, the workspace of the matrix library, and the
# gaps that an allocator leaves between blocks.
RESERVE_MIB = 768


@dataclass(frozen=True)
class Batching:
    """How the batch of an optimizer step is cut: batch_size = micro_batch_size x accumulation_steps x processes.

    Attributes:
        micro_batch_size: texts of one forward and backward pass of one process.
        accumulation_steps: such passes of each process in a step.
    """

    micro_batch_size: int
    accumulation_steps: int


def choose_batching(params: Params, model: nn.Module) -> Batching:
    """Return `train.micro_batch_size` if it is a number, and for "auto" the largest micro-batch that fits into the budget.

    It is to fit for texts of `data.max_length` tokens, whether there are such texts or not.

    Args:
        model: as it will be trained.

    Raises:
        UserError: the processes cannot share the batch evenly, or not even one text fits.
    """
    train, processes = params.train, process_count()
    if train.micro_batch_size != "auto":
        return share_batch(train.batch_size, train.micro_batch_size, processes)
    length = params.data.max_length
    share = share_batch(train.batch_size, 1, processes).accumulation_steps
    inputs = RandomInputs(model.config.vocab_size, model.config.num_labels, params.seed, pick_device())

    def predict(size: int) -> PredictedMemory:
        return predict_training_memory(model, inputs, (size,), length, accumulate=size < share, awp=params.awp.enabled)[size]

    size, peak = largest_that_fits(predict, divisors(share), train.memory_budget_gib)
    if size is None:
        raise UserError(
            f"train.memory_budget_gib: training on one text of {length} tokens takes {peak.peak / MIB:,.0f} MiB and a reserve of "
            f"{RESERVE_MIB} MiB, received {train.memory_budget_gib:g} GiB; raise it, lower data.max_length, or set "
            "train.gradient_checkpointing to true"
        )
    print(f"micro-batches of {size} text(s): {peak.peak / MIB:,.0f} MiB predicted, {train.memory_budget_gib:g} GiB allowed")
    return Batching(size, share // size)


def share_batch(batch_size: int, micro_batch_size: int, processes: int) -> Batching:
    """Cut `batch_size` texts into micro-batches for several processes.

    Raises:
        UserError: that is not possible without a remainder.
    """
    steps, rest = divmod(batch_size, micro_batch_size * processes)
    if rest or not steps:
        raise UserError(
            f"train.batch_size: must be a multiple of micro_batch_size x processes = {micro_batch_size} x {processes}, "
            f"received {batch_size}; change one of them"
        )
    return Batching(micro_batch_size, steps)


def largest_that_fits(
    predict: Callable[[int], PredictedMemory], sizes: Sequence[int], budget_gib: float
) -> tuple[int | None, PredictedMemory]:
    """Return the largest of `sizes` whose predicted peak and the reserve fit into `budget_gib`, and its prediction.

    More texts never take less memory, so the border is found by halving. If none fits: None, and the smallest size's prediction.

    Args:
        sizes: in ascending order.
    """

    def fits(memory: PredictedMemory) -> bool:
        return memory.peak / MIB + RESERVE_MIB <= 1024 * budget_gib

    known = {len(sizes) - 1: predict(sizes[-1])}  # small models take the whole batch
    low, high = -1, len(sizes) - 1
    if fits(known[high]):
        return sizes[high], known[high]
    while high - low > 1:
        middle = (low + high) // 2
        known[middle] = predict(sizes[middle])
        if fits(known[middle]):
            low = middle
        else:
            high = middle
    return (sizes[low], known[low]) if low >= 0 else (None, known[0])


def divisors(number: int) -> list[int]:
    """All divisors of `number`, in ascending order."""
    return [size for size in range(1, number + 1) if number % size == 0]
