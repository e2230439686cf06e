"""Where a model gets what makes it faster: once when it is loaded, and once more when it is to be trained."""

import torch
from transformers import PreTrainedModel

from stages.acceleration.allocator import keep_freed_memory
from stages.acceleration.attention import NAME
from stages.acceleration.dropout import replace_dropout
from stages.acceleration.first_token import keep_first_token
from stages.machine import pick_device
from stages.methods.families import family_of


def accelerate(model: PreTrainedModel) -> None:
    """Make a freshly loaded classifier faster in training and evaluation; its results stay but for rounding."""
    keep_first_token(model, family_of(model.config.model_type))
    if pick_device().type == "cpu" and model._can_set_attn_implementation():
        model.set_attn_implementation(NAME)


def accelerate_training(model: torch.nn.Module) -> None:
    """Make training of `model`, with or without PEFT around it, faster where it runs on a CPU.

    Dropout masks are other draws with the same probabilities. A GPU draws masks at no cost worth saving.
    """
    if pick_device().type == "cpu":
        keep_freed_memory()
        replace_dropout(model)
