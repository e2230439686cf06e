"""LoRA (Hu et al. 2022): a low-rank update beside each attention projection; the encoder itself stays as it was.

y = W x + b + (alpha / r) B A x, with A (r, C) drawn at random and B (C, r) zero, so that training starts at the base model.
"""

from collections.abc import Sequence

from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from stages.config import Params
from stages.methods.base import load_base_model
from stages.methods.families import family_of, modules_to_save
from stages.quiet import quiet_libraries

NAME = "lora"


def build(params: Params, labels: Sequence[str]) -> PeftModel:
    """Return the base model with LoRA on all attention projections of every layer and a trainable head."""
    return attach(load_base_model(labels, params.seed), params)


def attach(base: PreTrainedModel, params: Params) -> PeftModel:
    """Put LoRA on all attention projections of every layer into `base`, and let only these and the head train."""
    family = family_of(base.config.model_type)
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=params.peft.rank,
        lora_alpha=params.peft.alpha,
        lora_dropout=params.peft.dropout,
        # a regular expression, not a list: PEFT turns a list into a set and saves it in hash order
        target_modules=family.attention,
        modules_to_save=modules_to_save(base),
    )
    with quiet_libraries():
        return get_peft_model(base, config)
