"""Stand-ins for layers in nf4 where tensors have shapes and no contents: for counting operations and predicting memory."""

import copy
from typing import Any, Self

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from stages.classifier.four_bit import BLOCK, SCALES, Packed, packed_layers, replace_module
from stages.classifier.low_precision import computing_dtype


class Shapes(Packed):
    """Stands for a layer in nf4 where tensors have no contents: its bytes, its memory while it computes, and its products.

    x (..., in) W^T + b, for which W (out, in) is unpacked in the precision of the product, in the backward pass once more,
    and there to float32 first.
    """

    def __init__(self, in_features: int, out_features: int, bias: nn.Parameter | None, device: torch.device):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        blocks = -(-self.numel // BLOCK)
        packed = torch.empty(-(-self.numel // 2), 1, dtype=torch.uint8, device=device)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.register_parameter("bias", bias)
        self.register_buffer("scales", torch.empty(blocks, dtype=torch.uint8, device=device), persistent=False)
        self.register_buffer("scales_of_scales", torch.empty(-(-blocks // SCALES), device=device), persistent=False)
        self.register_buffer("mean", torch.empty((), device=device), persistent=False)

    @classmethod
    def of(cls, layer: Packed, bias: nn.Parameter | None) -> Self:
        return cls(layer.in_features, layer.out_features, bias, layer.weight.device).train(layer.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dtype = computing_dtype(x.device)
        y: torch.Tensor = _Unpacked.apply(x.to(dtype), self.weight, (self.out_features, self.in_features))
        return y if self.bias is None else y + self.bias.to(dtype)

    def dequantize(self) -> torch.Tensor:
        return self.weight.new_empty(self.out_features, self.in_features, dtype=torch.float32)


class _Unpacked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, packed: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        ctx.save_for_backward(packed)
        ctx.shape = shape
        return nn.functional.linear(x, x.new_empty(shape))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradient @ gradient.new_empty(ctx.shape, dtype=torch.float32).to(gradient.dtype), None, None


def shapes_only(model: nn.Module) -> None:
    """Replace the layers in nf4 of a `model` on the device "meta", which hold no packed weights there, by their `Shapes`."""
    for name, layer in packed_layers(model):
        stand_in = Shapes.of(layer, layer.bias)
        stand_in._forward_pre_hooks = layer._forward_pre_hooks
        replace_module(model, name, stand_in)


def fake_copy(model: nn.Module, mode: FakeTensorMode) -> Any:
    """Return a copy of `model` whose tensors are fake ones of `mode`; layers in nf4, which cannot be, become their `Shapes`."""
    layers = [layer for _, layer in packed_layers(model) if not isinstance(layer, Shapes)]
    with mode:
        stand_ins = [Shapes.of(layer, None) for layer in layers]
    copies: dict[int, Any] = {id(layer): stand_in for layer, stand_in in zip(layers, stand_ins, strict=True)}
    with FakeCopyMode(mode):
        copied = copy.deepcopy(model, copies)
        for layer, stand_in in zip(layers, stand_ins, strict=True):
            stand_in.bias = copy.deepcopy(layer.bias, copies)
            stand_in._forward_pre_hooks = copy.deepcopy(layer._forward_pre_hooks, copies)
    return copied
