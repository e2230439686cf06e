"""The layer in nf4: bitsandbytes' own, with the precision of its product decided by autocast alone. Needs that package."""

from typing import Self

import bitsandbytes as bnb
import torch
from torch import nn

from stages.classifier.four_bit import BLOCK, NAME, Packed
from stages.classifier.low_precision import computing_dtype


class Linear4bit(bnb.nn.Linear4bit, Packed):
    """y = x W^T + b with x (..., in) and W (out, in) in nf4, unpacked for the product to autocast's precision, else to float32.

    The library's forward pass decides that once for all, rounds the bias for good, and on some processors packs the weights anew
    for inference, in bfloat16: logits would then depend on the processor, and on whether a model was evaluated before.
    """

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """Return the layer with the weights of `linear`, quantized on the CPU, and with its bias itself."""
        layer = cls(linear.in_features, linear.out_features, bias=False, quant_type=NAME, device="meta")
        weight = bnb.nn.Params4bit(
            linear.weight.detach(), requires_grad=False, blocksize=BLOCK, compress_statistics=True, quant_type=NAME
        )
        layer.weight = weight if weight.is_meta else weight.to("cpu")
        layer.register_parameter("bias", linear.bias)
        return layer.train(linear.training)

    def dequantize(self) -> torch.Tensor:
        if self.weight.is_meta:  # not packed there
            return self.weight.detach()
        return bnb.functional.dequantize_4bit(self.weight.data, self.weight.quant_state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dtype = computing_dtype(x.device)
        bias = None if self.bias is None else self.bias.to(dtype)
        return bnb.matmul_4bit(x.to(dtype), self.weight, bias=bias, quant_state=self.weight.quant_state)
