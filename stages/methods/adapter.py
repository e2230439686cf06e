"""Bottleneck adapters: small two-layer networks in the layers of the encoder, which itself is frozen. `peft.adapter` says where.

- pfeiffer: behind each feed-forward block only (Pfeiffer et al. 2021);
- houlsby: behind each attention block and each feed-forward block (Houlsby et al. 2019), twice the parameters;
- parallel: beside each feed-forward block (He et al. 2022, the scaled parallel adapter).

Behind a block: y = LayerNorm(h + up(gelu(down(h))) + x), with h the block's output after its dropout and x its residual input.
Beside it: y = LayerNorm(h + s up(relu(down(x))) + x), with s = `peft.scaling`.
down: C -> bottleneck and up: bottleneck -> C, with biases, are trained.

Names and numbers are the papers', with these differences: LayerNorms stay frozen (Houlsby et al. train them); pfeiffer has the
formula and GELU of Houlsby et al. with the place of Pfeiffer et al., who use ReLU and one more LayerNorm before the adapter.
The parallel one starts as LoRA does, with `up` zero: while it is, `down` has no gradient, and AWP moves neither.
"""

from typing import Any

from peft import PeftModel, TaskType, get_peft_model
from transformers import PreTrainedModel

from peft_extras.bottleneck import BottleneckConfig
from stages.classifier.families import Family, family_of, modules_to_save
from stages.classifier.quiet import quiet_libraries
from stages.project.schema import Params, PeftParams

NAME = "adapter"


def attach(base: PreTrainedModel, params: Params) -> PeftModel:
    """Put the adapters of `peft.adapter` into every layer of `base`; only they and the head are trained."""
    config = BottleneckConfig(
        task_type=TaskType.SEQ_CLS,
        bottleneck=params.peft.bottleneck,
        hidden_size=base.config.hidden_size,
        modules_to_save=modules_to_save(base),
        **_placement(family_of(base.config.model_type), params.peft),
    )
    with quiet_libraries():
        return get_peft_model(base, config)


def _placement(family: Family, peft: PeftParams) -> dict[str, Any]:
    """Where the adapters are, and what else differs between the papers, as fields of `BottleneckConfig`."""
    if peft.adapter == "houlsby":
        return {"target_modules": f"({family.attention_output})|({family.feed_forward})"}
    if peft.adapter == "parallel":
        return {
            "target_modules": family.feed_forward,
            "parallel_inputs": family.feed_forward_input,
            "scaling": peft.scaling,
            "non_linearity": "relu",
            "init": "lora",
        }
    return {"target_modules": family.feed_forward}
