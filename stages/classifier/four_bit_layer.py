"""The layer in nf4: bitsandbytes' own, with the precision of its product decided by autocast alone. Needs that package."""

from typing import Any, Self

import torch
from bitsandbytes.autograd._functions import matmul_4bit
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import modules as bnb
from torch import nn

from stages.classifier.four_bit import BLOCK, NAME, Packed
from stages.classifier.low_precision import computing_dtype


class Linear4bit(bnb.Linear4bit, Packed):
    """y = x W^T + b with x (..., in) and W (out, in) in nf4, unpacked for the product to autocast's precision, else to float32.

    The library's forward pass decides that once for all, rounds the bias for good, and on some processors packs the weights anew
    for inference, in bfloat16: logits would then depend on the processor, and on whether a model was evaluated before.
    """

    weight: Any  # bnb.Params4bit: the packed weights, with what unpacks them

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """Return the layer with the weights of `linear`, quantized on the CPU, and with its bias itself."""
        layer = cls(linear.in_features, linear.out_features, bias=False, quant_type=NAME, device="meta")
        weight = bnb.Params4bit(
            linear.weight.detach(), requires_grad=False, blocksize=BLOCK, compress_statistics=True, quant_type=NAME
        )
        layer.weight = weight if weight.is_meta else weight.cpu()
        layer.register_parameter("bias", linear.bias)
        return layer.train(linear.training)

    def dequantize(self) -> torch.Tensor:
        if self.weight.is_meta:  # not packed there
            return self.weight.detach()
        return dequantize_4bit(self.weight.data, self.weight.quant_state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dtype = computing_dtype(x.device)
        bias = None if self.bias is None else self.bias.to(dtype)
        return matmul_4bit(x.to(dtype), self.weight, bias=bias, quant_state=self.weight.quant_state)
