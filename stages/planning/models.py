"""A classifier without weights, for predictions that need its shapes only."""

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedConfig

from stages.classifier.faster.apply import accelerate
from stages.classifier.four_bit_shapes import shapes_only
from stages.methods.method import Method, attached
from stages.project.schema import Params


def unloaded_model(
    config: PreTrainedConfig, num_labels: int, method: Method, params: Params, frozen_dtype: str = "same"
) -> nn.Module:
    """Return a classifier as `method` (a module of stages.methods) trains it, with uninitialized weights.

    What is frozen is kept as `frozen_dtype` says (`train.frozen_dtype`). Weights are allocated and never written, so they take no
    memory, whatever their size.
    """
    config.num_labels = num_labels
    with torch.device("meta"):
        base = AutoModelForSequenceClassification.from_config(config)
        model = attached(method, base, params, frozen_dtype)
        shapes_only(model)
    if params.train.acceleration:
        accelerate(model)
    return model.to_empty(device="cpu")
