"""Which weight tensors of a model a perturbation moves."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

Target = Literal["trainable", "all"]
Embeddings = Literal["tensor", "rows", "exclude"]


def weights_to_move(
    model: nn.Module, candidates: Sequence[torch.Tensor], target: Target, embeddings: Embeddings
) -> list[torch.Tensor]:
    """Return those of `candidates`, the parameters of `model`, that move, in their order.

    They are the weight tensors with more than one dimension that `target` and `embeddings` name.
    With "all" quantized tensors stay where they are, with a warning: the numbers that they hold (nf4, int8) are codes, and
    cannot move by a percent. So do the original modules that PEFT keeps beside those in `modules_to_save`: nothing
    reads them.

    Raises:
        ValueError: there is none.
    """
    left_out = originals(model) if target == "all" else set()
    if embeddings == "exclude":
        left_out |= embedding_weights(model)
    wanted = [
        weight
        for weight in candidates
        if weight.dim() > 1 and (weight.requires_grad or target == "all") and id(weight) not in left_out
    ]
    weights = [weight for weight in wanted if is_movable(weight)]
    if len(weights) < len(wanted):
        warnings.warn(
            f"awp: {len(wanted) - len(weights)} of {len(wanted)} weight tensors are quantized and stay where they are",
            stacklevel=3,
        )
    if not weights:
        kind = "trainable weight tensor" if target == "trainable" else "weight tensor that can move"
        besides = " besides its embeddings" if embeddings == "exclude" else ""
        raise ValueError(f"awp: the model has no {kind} with more than one dimension{besides}")
    return weights


def is_movable(weight: torch.Tensor) -> bool:
    """Whether `weight` holds numbers and no codes; bitsandbytes can store its codes in a floating-point type."""
    return weight.is_floating_point() and not hasattr(weight, "quant_state")


def embedding_weights(model: nn.Module) -> set[int]:
    """The `id` of every weight of an `nn.Embedding`."""
    return {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}


def originals(model: nn.Module) -> set[int]:
    """The `id` of every tensor of which PEFT trains a copy (modules_to_save), told by the names in its wrapper."""
    wrappers = [module for module in model.modules() if hasattr(module, "modules_to_save")]
    replaced = [original for wrapper in wrappers if isinstance(original := getattr(wrapper, "original_module", None), nn.Module)]
    return {id(tensor) for module in replaced for tensor in (*module.parameters(), *module.buffers())}


@contextmanager
def requiring_gradients(weights: Sequence[torch.Tensor]) -> Iterator[None]:
    """Let frozen `weights` have gradients in the block; they are frozen again on exit, whatever happens."""
    frozen = [weight for weight in weights if not weight.requires_grad]
    try:
        for weight in frozen:
            weight.requires_grad_(True)
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)
