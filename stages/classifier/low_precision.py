"""Weights that are kept in bfloat16 or float16, and the precision in which a forward pass multiplies matrices."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from stages.project.errors import UserError

LOW: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
# What `train.frozen_dtype` may name; same: float32, as all weights are loaded. nf4 is not a type: see stages.classifier.four_bit
FROZEN_DTYPES = {"same": torch.float32, **LOW}


def check_precision(precision: str, parameter: str, device: torch.device) -> None:
    """Refuse a precision in which `device` cannot compute.

    Args:
        parameter: the name of what asks for it, as the user knows it.

    Raises:
        UserError: fp16 without CUDA, or bf16 on a GPU that does not have it.
    """
    if precision == "fp16" and device.type != "cuda":
        raise UserError(
            f"{parameter}: fp16 needs a GPU (CUDA), received fp16 on a machine without one; use bf16, which a CPU can compute, "
            "or fp32"
        )
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(
            f"{parameter}: received bf16, which {torch.cuda.get_device_name(device)} does not have (it needs an Ampere GPU or a "
            "newer one); use fp16 or fp32"
        )


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Return a context in which matrix products are in `precision`, and what rounding would harm, such as a softmax, in fp32.

    Mixed precision as of Micikevicius et al. (2018), PyTorch's autocast. With fp32 nothing is done.
    """
    return torch.autocast(device.type, LOW[precision]) if precision in LOW else nullcontext()


def in_precision(forward: Callable[..., Any], precision: str, device: torch.device) -> Callable[..., Any]:
    """Return `forward` inside `autocast`; each call casts the weights anew, so that it never sees those before a change."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with autocast(precision, device):
            return forward(*args, **kwargs)

    return call if precision in LOW else forward


class LowLinear(nn.Linear):
    """y = x W^T + b with W (out, in) in a low precision and x (..., in), computed in autocast's precision, or else in float32.

    Outside autocast W is widened for each product, and again in the backward pass: what is kept between them is W itself, half
    of the memory. Otherwise autograd would keep a float32 copy of every layer.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dtype = computing_dtype(x.device)
        bias = None if self.bias is None else self.bias.to(dtype)
        if self.weight.dtype == dtype or self.weight.requires_grad:  # AWP may ask for the gradient of a frozen weight
            return nn.functional.linear(x.to(dtype), self.weight.to(dtype), bias)
        y: torch.Tensor = _Widened.apply(x.to(dtype), self.weight)
        return y if bias is None else y + bias


class _Widened(torch.autograd.Function):
    """x W^T and its gradient in the precision of x, with W kept in its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return nn.functional.linear(x, weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (weight,) = ctx.saved_tensors
        return gradient @ weight.to(gradient.dtype), None


class LowEmbedding(nn.Embedding):
    """Rows (..., C) of a table in a low precision, returned in float32: the sums of a residual stream stay exact."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids).float()


class LowConv1d(nn.Conv1d):
    """A convolution (DeBERTa has one) with its weight in a low precision, computed like `LowLinear`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dtype = computing_dtype(x.device)
        return self._conv_forward(x.to(dtype), self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))


READ_DIRECTLY = ("rel_embeddings",)  # DeBERTa's table of distances, which its code normalizes without calling the module
KINDS: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: LowLinear, nn.Embedding: LowEmbedding, nn.Conv1d: LowConv1d}


def computing_dtype(device: torch.device) -> torch.dtype:
    """The precision of a matrix product: autocast's where it is on, otherwise float32."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32


def cast_frozen(model: nn.Module, dtype: torch.dtype) -> int:
    """Keep the frozen weight matrices and embeddings of `model` in `dtype`; return how many.

    The forward pass is that of a model whose frozen weights were rounded to `dtype` once: what it computes in is decided by
    autocast alone. Trained weights stay float32, and so do frozen biases and normalization weights, which have one dimension:
    they are a thousandth of the memory, and sums and variances lose most by rounding. Call it after the method is attached:
    what it trains is known only then, and some initializations of LoRA change the base.
    """
    if dtype == torch.float32:
        return 0
    return _cast(model, dtype, KINDS)


def cast_for_inference(model: nn.Module, precision: str) -> int:
    """Round once what `autocast` would round again for each batch, the weights of matrix products; return how many.

    Inside `autocast` the logits are the same bits. `model` can no longer be trained.
    """
    if precision not in LOW:
        return 0
    model.requires_grad_(False)
    return _cast(model, LOW[precision], {kind: low for kind, low in KINDS.items() if kind is not nn.Embedding})


def round_frozen(model: nn.Module, dtype: torch.dtype) -> None:
    """Give the frozen weights that `cast_frozen` would keep in `dtype` the values that they have there, in float32."""
    for name, module in model.named_modules():
        if type(module) in KINDS and (weight := _frozen_weight(name, module)) is not None:
            weight.data = weight.data.to(dtype).float()


def frozen_dtype_of(model: nn.Module) -> str:
    """The name of the precision in which `cast_frozen` keeps weights of `model`, or same."""
    low = [module for module in model.modules() if isinstance(module, tuple(KINDS.values()))]
    found = {weight.dtype for module in low for weight in module.parameters(recurse=False)}
    return next((name for name, dtype in LOW.items() if dtype in found), "same")


def _cast(model: nn.Module, dtype: torch.dtype, kinds: dict[type[nn.Module], type[nn.Module]]) -> int:
    count = 0
    for name, module in model.named_modules():
        low = kinds.get(type(module)) or (type(module) if type(module) in kinds.values() else None)
        weight = _frozen_weight(name, module)
        if low is None or weight is None:
            continue
        module.__class__ = low  # its hooks, names and parameters stay what they are
        weight.data = weight.data.to(dtype)
        count += 1
    return count


def _frozen_weight(name: str, module: nn.Module) -> nn.Parameter | None:
    weight = getattr(module, "weight", None)
    frozen = isinstance(weight, nn.Parameter) and not weight.requires_grad
    return weight if frozen and not name.endswith(READ_DIRECTLY) else None
