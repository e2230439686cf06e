"""The classifiers of the memory plan, built without weights: the encoder in models/base and published ones."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig

from stages.classifier.config import read_config
from stages.classifier.faster.apply import accelerate
from stages.methods.method import Method
from stages.project.schema import Params

# published sizes; where there are none, they are the defaults of the configuration class
PUBLISHED: dict[str, tuple[str, dict[str, int]]] = {
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
    """Return by name the configurations of the encoder in folder `base` and of the `published` ones."""
    others = {name: AutoConfig.for_model(PUBLISHED[name][0], **PUBLISHED[name][1]) for name in published}
    return {OWN: read_config(base), **others}


def unloaded_model(config: PreTrainedConfig, num_labels: int, method: Method, params: Params) -> nn.Module:
    """Return a classifier as `method` (a module of stages.methods) trains it, with uninitialized weights.

    They are allocated and never written, so they take no memory, whatever their size.
    """
    config.num_labels = num_labels
    with torch.device("meta"):
        base = AutoModelForSequenceClassification.from_config(config)
        model = method.attach(base, params)
    if params.train.acceleration:
        accelerate(model)
    return model.to_empty(device="cpu")
