"""Full fine-tuning: every weight of the encoder and of the head is trained."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from stages.config import Params
from stages.methods.base import load_base_model

NAME = "full"


def build(params: Params, labels: Sequence[str]) -> PreTrainedModel:
    """Return the base model, all of it trainable."""
    return attach(load_base_model(labels, params.seed), params)


def attach(base: PreTrainedModel, params: Params) -> PreTrainedModel:
    """Return `base` itself: there is nothing to add."""
    return base
