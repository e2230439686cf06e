"""Gradient checkpointing (Chen et al. 2016): keep only each layer's input, and recompute the layer in the backward pass."""

from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from stages.classifier.families import family_of
from stages.project.errors import UserError


def recompute_activations(model: nn.Module) -> None:
    """Recompute every layer of `model`, with or without PEFT around it, in the backward pass; gradients stay the same.

    Random numbers are rewound, so dropout draws the same masks. PyTorch's reentrant variant is not used: it needs a gradient
    at the layers' inputs, and frozen embeddings give none.

    Raises:
        UserError: the family's implementation does not support it.
    """
    transformer = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(transformer, PreTrainedModel)
    if not family_of(transformer.config.model_type).gradient_checkpointing:
        raise UserError(
            f"train.gradient_checkpointing: models of family {transformer.config.model_type!r} do not support it, received true; "
            "set it to false, and train.micro_batch_size to a smaller number if memory is short"
        )
    transformer.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    transformer.disable_input_require_grads()
