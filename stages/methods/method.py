"""What a method is, and how the model that it trains is built."""

from collections.abc import Sequence
from typing import Protocol

from peft import PeftModel
from transformers import PreTrainedModel

from stages.classifier.faster.apply import accelerate
from stages.classifier.four_bit import NAME as FOUR_BIT
from stages.classifier.four_bit import quantize
from stages.classifier.loading import load_base_model
from stages.classifier.low_precision import FROZEN_DTYPES, cast_frozen
from stages.project.schema import Params

Model = PreTrainedModel | PeftModel


class Method(Protocol):
    """What the modules `full`, `lora` and `adapter` of this package have in common."""

    NAME: str

    def attach(self, base: PreTrainedModel, params: Params) -> Model:
        """Put the method's own parameters into `base`, and leave only what the method trains with a gradient."""


def build(method: Method, params: Params, labels: Sequence[str]) -> Model:
    """Return the pre-trained encoder with a new head for `labels`, as `method` trains it.

    Raises:
        UserError: as `load_base_model` and `attached`.
    """
    model = attached(method, load_base_model(labels, params.seed), params, params.train.frozen_dtype)
    if params.train.acceleration:
        accelerate(model)
    return model


def attached(method: Method, base: PreTrainedModel, params: Params, frozen_dtype: str) -> Model:
    """Return `base` as `method` trains it, with what is not trained kept as `frozen_dtype` says (`train.frozen_dtype`).

    Layers in nf4 come before the method, whose LoRA and DoRA then start from the rounded weights. The other precisions come
    after it: what it trains is known only then. Full fine-tuning freezes nothing, and nothing is rounded.

    Raises:
        UserError: nf4 is asked for, and the package that computes with it is not here.
    """
    if method.NAME == "full":
        return method.attach(base, params)
    if frozen_dtype == FOUR_BIT:
        quantize(base)
        return method.attach(base, params)
    model = method.attach(base, params)
    cast_frozen(model, FROZEN_DTYPES[frozen_dtype])
    return model
