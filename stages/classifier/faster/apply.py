"""Make a model faster: once when it is loaded, and once more before it is trained."""

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from stages.classifier.families import family_of
from stages.classifier.faster.allocator import keep_freed_memory
from stages.classifier.faster.attention import NAME
from stages.classifier.faster.dropout import replace_dropout
from stages.classifier.faster.first_token import keep_first_token
from stages.project.machine import pick_device


def accelerate(model: torch.nn.Module) -> None:
    """Make a classifier, which PEFT may wrap, faster in training and evaluation; results differ only in rounding."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(base, PreTrainedModel)
    keep_first_token(base, family_of(base.config.model_type))
    if pick_device().type == "cpu":
        set_attention(base, NAME)


def set_attention(base: PreTrainedModel, implementation: str) -> None:
    """Let `base` compute its attention by `implementation`, where the library lets its family choose."""
    if base._can_set_attn_implementation():
        base.set_attn_implementation(implementation)


def accelerate_training(model: torch.nn.Module) -> None:
    """Make training of `model`, which PEFT may wrap, faster on a CPU.

    Dropout masks are different draws with the same probabilities. On a GPU drawing masks costs too little to be worth it.
    """
    if pick_device().type == "cpu":
        keep_freed_memory()
        replace_dropout(model)
