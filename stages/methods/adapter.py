"""Bottleneck adapter (Houlsby et al. 2019; Pfeiffer et al. 2021): a small two-layer network in each feed-forward block.

y = LayerNorm(h + up(f(down(h))) + x), with h the block's output after its dropout and x its residual input;
down: C -> bottleneck and up: bottleneck -> C are trained, the encoder itself is frozen.
"""

from peft import PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from peft_extras.bottleneck import BottleneckConfig
from stages.classifier.families import family_of, modules_to_save
from stages.classifier.quiet import quiet_libraries
from stages.project.schema import Params

NAME = "adapter"


def attach(base: PreTrainedModel, params: Params) -> PeftModel:
    """Put one adapter into every feed-forward block of `base`; only the adapters and the head are trained."""
    config = BottleneckConfig(
        task_type=TaskType.SEQ_CLS,
        bottleneck=params.peft.bottleneck,
        hidden_size=base.config.hidden_size,
        target_modules=family_of(base.config.model_type).feed_forward,
        modules_to_save=modules_to_save(base),
    )
    with quiet_libraries():
        return get_peft_model(base, config)
