"""Bottleneck adapter (Houlsby et al. 2019; Pfeiffer et al. 2021): a small two-layer network in each feed-forward block.

y = LayerNorm(h + up(f(down(h))) + x), with h the block's output after its dropout and x its residual input;
down: C -> bottleneck and up: bottleneck -> C are trained, the encoder itself stays as it was.
"""

from collections.abc import Sequence

from peft import PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from stages.config import Params
from stages.methods.base import load_base_model
from stages.methods.bottleneck import BottleneckConfig
from stages.methods.families import family_of, modules_to_save
from stages.quiet import quiet_libraries

NAME = "adapter"


def build(params: Params, labels: Sequence[str]) -> PeftModel:
    """Return the base model with one adapter in every feed-forward block and a trainable head."""
    return attach(load_base_model(labels, params.seed), params)


def attach(base: PreTrainedModel, params: Params) -> PeftModel:
    """Put one adapter into every feed-forward block of `base`, and let only these and the head train."""
    family = family_of(base.config.model_type)
    config = BottleneckConfig(
        task_type=TaskType.SEQ_CLS,
        bottleneck=params.peft.bottleneck,
        hidden_size=base.config.hidden_size,
        target_modules=family.feed_forward,
        modules_to_save=modules_to_save(base),
    )
    with quiet_libraries():
        return get_peft_model(base, config)
