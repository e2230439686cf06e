"""What a method is, and how the model that it trains is built."""

from collections.abc import Sequence
from typing import Protocol

from peft import PeftModel
from transformers import PreTrainedModel

from stages.classifier.faster.apply import accelerate
from stages.classifier.loading import load_base_model
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
        UserError: as `load_base_model`.
    """
    model = method.attach(load_base_model(labels, params.seed), params)
    if params.train.acceleration:
        accelerate(model)
    return model
