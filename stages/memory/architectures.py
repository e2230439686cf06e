"""Classifiers without weights: what the memory plan is made for, beside the encoder in models/base."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig

from stages.acceleration.apply import accelerate
from stages.config import Params
from stages.methods.base import read_config

# sizes as published; where nothing is said the configuration's class has them as its defaults
PUBLISHED = {
    "DistilBERT": ("distilbert", {}),
    "BERT-base": ("bert", {}),
    "RoBERTa-large": (
        "roberta",
        {
            "vocab_size": 50265,
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
        },
    ),
}
OWN = "this encoder"


def configurations(base: Path, published: Sequence[str]) -> dict[str, PreTrainedConfig]:
    """Return by name the configuration of the encoder in folder `base`, and those of some `published` ones."""
    others = {name: AutoConfig.for_model(PUBLISHED[name][0], **PUBLISHED[name][1]) for name in published}
    return {OWN: read_config(base), **others}


def unloaded_model(config: PreTrainedConfig, num_labels: int, method: ModuleType, params: Params) -> nn.Module:
    """Return a classifier as `method` (a module of stages.methods) trains it, whose weights have no values.

    They are allocated and never written, so that they take no memory, whatever their size.
    """
    config.num_labels = num_labels
    with torch.device("meta"):
        base = AutoModelForSequenceClassification.from_config(config)
        accelerate(base)
        model = method.attach(base, params)
    return model.to_empty(device="cpu")
