"""Full fine-tuning: every weight of the encoder and of the head is trained."""

from transformers import PreTrainedModel

from stages.project.schema import Params

NAME = "full"


def attach(base: PreTrainedModel, params: Params) -> PreTrainedModel:
    """Return `base` itself: there is nothing to add, and everything is trained."""
    return base
