"""What a method is, and how the model that it trains is built."""

from collections.abc import Sequence
from typing import Protocol

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from stages.classifier.faster.apply import accelerate
from stages.classifier.loading import load_base_model
from stages.project.schema import Params

Model = PreTrainedModel | PeftModel

# What `train.frozen_dtype` may name; same: float32, as all weights are loaded
FROZEN_DTYPES = {"same": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Method(Protocol):
    """What the modules `full`, `lora` and `adapter` of this package have in common."""

    NAME: str

    def attach(self, base: PreTrainedModel, params: Params) -> Model:
        """Put the method's own parameters into `base`, and leave only what the method trains with a gradient."""


def build(method: Method, params: Params, labels: Sequence[str]) -> Model:
    """Return the pre-trained encoder with a new head for `labels`, as `method` trains it.

    Raises:
        UserError: as `load_base_model`.
    """
    model = method.attach(load_base_model(labels, params.seed), params)
    cast_frozen(model, FROZEN_DTYPES[params.train.frozen_dtype])
    if params.train.acceleration:
        accelerate(model)
    return model


def cast_frozen(model: nn.Module, dtype: torch.dtype) -> int:
    """Store the frozen weight matrices and embeddings of `model` in `dtype`; return how many.

    Trained weights stay float32, and so do frozen biases and normalization weights, which have one dimension: they are a
    thousandth of the memory, and sums and variances lose most by rounding. Autocast must then compute the forward pass.
    Call it after the method is attached: what it trains is known only then, and some initializations of LoRA change the base.
    """
    frozen = [weight for weight in model.parameters() if not weight.requires_grad and weight.dim() > 1]
    for weight in frozen:
        weight.data = weight.data.to(dtype)
    return len(frozen)
