"""Attention on the CPU: in training with `cpu_dropout` on its weights, for short texts as two plain matrix products."""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask

from stages.classifier.faster.dropout import cpu_dropout

NAME = "cpu_attention"
SHORT = 32  # tokens up to which two matrix products are faster than PyTorch's fused kernel, by 2 to 7 percent of a whole model


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot-product attention (Vaswani et al. 2017): dropout(softmax(Q K^T scaling + mask)) V.

    Longer texts without dropout (as in evaluation) and other devices use the library's kernel.

    Shapes: query, key, value (B, H, T, C / H); attention_mask (B, 1, T, T), which is added (0 or the lowest float), or None.
    Returns (B, T, H, C / H), and None for the weights.
    """
    if attention_mask is not None and attention_mask.dtype != query.dtype:  # under autocast; a lower one would round it to -inf
        attention_mask = attention_mask.clamp(min=torch.finfo(query.dtype).min)
    if query.device.type != "cpu" or not (dropout or query.shape[2] <= SHORT):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **others)
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scaling is None else scaling), key.transpose(2, 3))
    scores = scores.float()  # a softmax in a lower precision loses what distinguishes the smaller weights
    if attention_mask is not None:
        scores += attention_mask
    weights = scores.softmax(dim=-1)
    if dropout:
        weights = cpu_dropout(weights, dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


# `set_attn_implementation` finds them by this name; nothing of it is saved with the model
AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, eager_mask)
