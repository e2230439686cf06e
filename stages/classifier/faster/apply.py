"""Where a model becomes faster: once when it is loaded, and once more when it is to be trained."""

import torch
from peft import PeftModel

from stages.classifier.families import family_of
from stages.classifier.faster.allocator import keep_freed_memory
from stages.classifier.faster.attention import NAME
from stages.classifier.faster.dropout import replace_dropout
from stages.classifier.faster.first_token import keep_first_token
from stages.project.machine import pick_device


def accelerate(model: torch.nn.Module) -> None:
    """Make a classifier, with or without PEFT around it, faster in training and evaluation; its results differ in rounding only."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    keep_first_token(base, family_of(base.config.model_type))
    if pick_device().type == "cpu" and base._can_set_attn_implementation():
        base.set_attn_implementation(NAME)


def accelerate_training(model: torch.nn.Module) -> None:
    """Make training of `model`, with or without PEFT around it, faster where it runs on a CPU.

    Dropout masks are other draws with the same probabilities. A GPU draws masks at no cost worth saving.
    """
    if pick_device().type == "cpu":
        keep_freed_memory()
        replace_dropout(model)
