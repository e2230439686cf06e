"""LoRA (Hu et al. 2022): a low-rank update beside each attention projection; the encoder itself is frozen.

y = W x + b + (alpha / r) B A x, with A (r, C) random and B (C, r) zero, so that training starts at the base model.
"""

from typing import cast

from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from stages.classifier.families import family_of, modules_to_save
from stages.classifier.quiet import quiet_libraries
from stages.project.schema import Params

NAME = "lora"


def attach(base: PreTrainedModel, params: Params) -> PeftModel:
    """Put LoRA on all attention projections of every layer of `base`; only LoRA and the head are trained."""
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=params.peft.rank,
        lora_alpha=cast(int, params.peft.alpha),  # PEFT declares int, but divides by r: fractions are as good
        lora_dropout=params.peft.dropout,
        # a regular expression, not a list: PEFT turns a list into a set and saves it in hash order
        target_modules=family_of(base.config.model_type).attention,
        modules_to_save=modules_to_save(base),
    )
    with quiet_libraries():
        return get_peft_model(base, config)
