"""Frozen linear layers in 4 bits: NormalFloat (nf4) with double quantization, as in QLoRA (Dettmers et al. 2023).

Each 64 weights in a row w are kept as indices into 16 levels q of [-1, 1], the quantiles of a normal distribution, and their
largest size c = max |w|: w is about c q. Double quantization keeps the c themselves in 8 bits, 256 of them with one float32
scale, after subtracting their mean. That is 4 + 8 / 64 + 32 / (64 * 256) = 4.127 bits for each weight instead of 32.

The levels are computed from float32 weights, always on the CPU, so that the same base model gives the same bytes when a
checkpoint is loaded. They are never trained and never saved.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from stages.classifier.families import head_names
from stages.project.errors import UserError

NAME = "nf4"  # what `train.frozen_dtype` calls it
BLOCK, SCALES = 64, 256  # weights that share a scale c, and scales that share one of theirs
ASKED = "train.frozen_dtype: received"  # how a refusal begins
LOADED = "is_loaded_in_4bit"  # an attribute of models that PEFT reads
REMEDY = "pip install -r requirements-qlora.txt, or train with train.frozen_dtype bf16 or same"


class Packed(nn.Module):
    """A linear layer (in_features to out_features) whose weight is stored in nf4, two numbers in a byte."""

    in_features: int
    out_features: int
    weight: nn.Parameter
    bias: Any  # a parameter or None

    @property
    def numel(self) -> int:
        """Number of weights, each of half a byte."""
        return self.in_features * self.out_features

    @property
    def W_q(self) -> nn.Parameter:
        """The packed weight under the name by which PEFT knows layers that it has to ask for `dequantize`, as DoRA does."""
        return self.weight

    def dequantize(self) -> torch.Tensor:
        """W (out, in) in float32."""
        raise NotImplementedError


def check_four_bit(frozen_dtype: str, origin: str = ASKED) -> None:
    """Refuse nf4 where the package that computes with it cannot be loaded.

    Args:
        origin: how the message begins, in the words before "nf4".

    Raises:
        UserError: it is not installed, or cannot be loaded here.
    """
    if frozen_dtype != NAME:
        return
    try:
        import stages.classifier.four_bit_layer  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "bitsandbytes":
            raise
        raise UserError(
            f"{origin} nf4, whose 4-bit layers need the package bitsandbytes, which is not installed; {REMEDY}"
        ) from None
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{origin} nf4, whose 4-bit layers need the package bitsandbytes, which cannot be loaded here "
            f"({type(error).__name__}: {' '.join(str(error).split())}); {REMEDY}"
        ) from None


def quantize(model: PreTrainedModel, origin: str = ASKED) -> int:
    """Put the linear layers of the encoder in `model` into nf4, before a method is attached; return how many.

    Embeddings, normalizations, biases, convolutions and the head stay float32. Weights on the device "meta" keep their shapes:
    see `stages.classifier.four_bit_shapes`.

    Raises:
        UserError: as `check_four_bit`.
    """
    check_four_bit(NAME, origin)
    from stages.classifier.four_bit_layer import Linear4bit

    layers = list(_frozen_linears(model))
    for name, linear in layers:
        replace_module(model, name, Linear4bit.of(linear))
    setattr(model, LOADED, True)  # by which PEFT chooses its LoRA for such layers
    return len(layers)


@torch.no_grad()
def round_to_four_bit(model: PreTrainedModel, origin: str = ASKED) -> None:
    """Give the weights that `quantize` would pack the values that they have there, c q, in float32.

    Raises:
        UserError: as `check_four_bit`.
    """
    check_four_bit(NAME, origin)
    from stages.classifier.four_bit_layer import Linear4bit

    for _, linear in _frozen_linears(model):
        linear.weight.copy_(Linear4bit.of(linear).dequantize())


def packed_layers(model: nn.Module) -> list[tuple[str, Packed]]:
    """The layers of `model` that are in nf4, by name."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, Packed)]


def packed_sizes(model: nn.Module) -> dict[int, int]:
    """By `id` of a packed weight, how many weights it holds: its storage has half as many elements."""
    return {id(module.weight): module.numel for _, module in packed_layers(model)}


def packed_bytes(in_features: int, out_features: int) -> int:
    """Bytes of a weight (out, in) in nf4: half a byte each, a byte for each scale, and what the scales need in float32."""
    weights = in_features * out_features
    blocks = -(-weights // BLOCK)
    return -(-weights // 2) + blocks + 4 * -(-blocks // SCALES) + 4


def storage(model: nn.Module) -> str:
    """Say in words what the layers of `model` in nf4 take, and what all its frozen weights do, in MiB."""
    layers = [layer for _, layer in packed_layers(model)]
    packed = sum(packed_bytes(layer.in_features, layer.out_features) for layer in layers)
    unpacked = 4 * sum(layer.numel for layer in layers)
    ids = {id(layer.weight) for layer in layers}
    others = sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad and id(weight) not in ids)
    mib = (f"{number / 2**20:,.1f}" for number in (packed, unpacked, packed + others, unpacked + others))
    return "{} linear layers in nf4 take {} MiB instead of {}, all frozen weights {} MiB instead of {}".format(len(layers), *mib)


def _frozen_linears(model: PreTrainedModel) -> Iterator[tuple[str, nn.Linear]]:
    """The linear layers of `model` outside its head."""
    head = tuple(f"{name}." for name in head_names(model))
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and not f"{name}.".startswith(head):
            yield name, module


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put `module` in the place of the one called `name` in `model`."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
