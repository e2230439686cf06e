"""What a method is, and how the model that it trains is built."""

from collections.abc import Sequence
from typing import Protocol

from peft import PeftModel
from transformers import PreTrainedModel

from stages.classifier.faster.apply import accelerate
from stages.classifier.loading import load_base_model
from stages.classifier.low_precision import FROZEN_DTYPES, cast_frozen
from stages.project.errors import UserError
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
        UserError: as `load_base_model` and `keep_frozen`.
    """
    model = method.attach(load_base_model(labels, params.seed), params)
    keep_frozen(model, params.train.frozen_dtype)
    if params.train.acceleration:
        accelerate(model)
    return model


def keep_frozen(model: Model, frozen_dtype: str) -> None:
    """Keep what `model` does not train as `train.frozen_dtype` says. After full fine-tuning was attached nothing is frozen.

    Raises:
        UserError: nf4 is asked for: nothing here puts 4-bit layers into an encoder.
    """
    if frozen_dtype == "nf4":
        raise UserError(
            "train.frozen_dtype: received nf4, and 4-bit layers for the frozen encoder (QLoRA) are not part of this project yet; "
            "use bf16, which halves the frozen weights, or same"
        )
    cast_frozen(model, FROZEN_DTYPES[frozen_dtype])
