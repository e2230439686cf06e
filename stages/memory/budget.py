"""The micro-batch size with which training stays within a memory budget."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn
from transformers import PreTrainedConfig

from stages.memory.batching import Batching, divisors, share_batch
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, MemoryPredictor, PredictedMemory
from stages.project.errors import UserError
from stages.project.processes import process_count
from stages.project.schema import Params

# What a device holds besides tensors: the CUDA context with its kernels, the workspace of the matrix library, and the gaps
# that an allocator leaves between blocks.
RESERVE_MIB = 768


def choose_batching(params: Params, model: nn.Module) -> Batching:
    """Return `train.micro_batch_size` if it is a number, and for "auto" the largest micro-batch that fits into the budget.

    It must fit for texts of `data.max_length` tokens, even if no text is that long, in `train.precision`. With several processes,
    each holds its gradients twice: the library sums them over the processes in buffers of its own.

    Args:
        model: as it will be trained, its frozen weights in `train.frozen_dtype`.

    Raises:
        UserError: the processes cannot share the batch evenly, or not even one text fits.
    """
    train, processes = params.train, process_count()
    if train.micro_batch_size != "auto":
        return share_batch(train.batch_size, train.micro_batch_size, processes)
    length = params.data.max_length
    share = share_batch(train.batch_size, 1, processes).accumulation_steps
    config = model.config
    assert isinstance(config, PreTrainedConfig) and config.num_labels is not None
    # on the device where the weights are now, which is not yet the one that trains
    inputs = RandomInputs(config.vocab_size, config.num_labels, params.seed, next(model.parameters()).device)
    buffers = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad) if processes > 1 else 0

    awp = params.awp.enabled and params.awp

    with MemoryPredictor(model, inputs, length, train.precision) as predictor:

        def predict(size: int) -> PredictedMemory:
            memory = predictor.predict(size, accumulate=size < share, awp=awp)
            return replace(memory, gradients=memory.gradients + buffers)

        size, peak = largest_that_fits(predict, divisors(share), train.memory_budget_gib)
    if size is None:
        raise UserError(
            f"train.memory_budget_gib: training on one text of {length} tokens takes {peak.peak / MIB:,.0f} MiB and a reserve of "
            f"{RESERVE_MIB} MiB, received {train.memory_budget_gib:g} GiB; raise it, lower data.max_length, or set "
            "train.gradient_checkpointing to true"
        )
    print(f"micro-batches of {size} text(s): {peak.peak / MIB:,.0f} MiB predicted, {train.memory_budget_gib:g} GiB allowed")
    return Batching(size, share // size)


def largest_that_fits(
    predict: Callable[[int], PredictedMemory], sizes: Sequence[int], budget_gib: float
) -> tuple[int | None, PredictedMemory]:
    """Return the largest of `sizes` whose predicted peak and the reserve fit into `budget_gib`, and its prediction.

    More texts never take less memory, so a binary search finds the size. If none fits: None, and the smallest size's prediction.

    Args:
        sizes: in ascending order.
    """

    def fits(memory: PredictedMemory) -> bool:
        return memory.peak / MIB + RESERVE_MIB <= 1024 * budget_gib

    known = {len(sizes) - 1: predict(sizes[-1])}  # a small model fits the whole batch
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
