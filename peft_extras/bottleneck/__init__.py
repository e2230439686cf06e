"""A PEFT tuner for bottleneck adapters behind or beside the blocks of a Transformer, which PEFT itself does not have.

After importing this package `get_peft_model`, `save_pretrained` and `PeftModel.from_pretrained` treat a
`BottleneckConfig` like any of PEFT's own configurations.
"""

from typing import cast

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.tuners_utils import BaseTuner

from peft_extras.bottleneck.config import PEFT_TYPE, BottleneckConfig
from peft_extras.bottleneck.layer import BottleneckLayer
from peft_extras.bottleneck.model import PREFIX, BottleneckModel

# `peft.utils.register_peft_method` accepts only names in PEFT's own PeftType enumeration, which cannot be
# extended; the tables that it fills accept plain strings as keys.
cast(dict[str, type[PeftConfig]], PEFT_TYPE_TO_CONFIG_MAPPING)[PEFT_TYPE] = BottleneckConfig
cast(dict[str, type[BaseTuner]], PEFT_TYPE_TO_TUNER_MAPPING)[PEFT_TYPE] = BottleneckModel
cast(dict[str, str], PEFT_TYPE_TO_PREFIX_MAPPING)[PEFT_TYPE] = PREFIX

__all__ = ["BottleneckConfig", "BottleneckLayer", "BottleneckModel"]
