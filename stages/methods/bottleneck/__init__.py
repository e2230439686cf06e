"""A PEFT tuner for bottleneck adapters in feed-forward blocks, which PEFT itself has none of.

After importing this package `get_peft_model`, `save_pretrained` and `PeftModel.from_pretrained` treat a
`BottleneckConfig` like any of PEFT's own configurations.
"""

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING

from stages.methods.bottleneck.config import PEFT_TYPE, BottleneckConfig
from stages.methods.bottleneck.layer import BottleneckLayer
from stages.methods.bottleneck.model import PREFIX, BottleneckModel

# `peft.utils.register_peft_method` accepts only names that stand in PEFT's own PeftType enumeration, which cannot be
# extended; the tables that it fills are keyed by plain strings just as well.
PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = BottleneckConfig
PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = BottleneckModel
PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = PREFIX

__all__ = ["BottleneckConfig", "BottleneckLayer", "BottleneckModel"]
