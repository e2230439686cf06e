"""Gradient checkpointing (Chen et al. 2016): keep each layer's input only, and compute the layer again in the backward pass."""

from torch import nn

from stages.classifier.families import family_of
from stages.project.errors import UserError


def recompute_activations(model: nn.Module) -> None:
    """Let every layer of `model`, with or without PEFT around it, be computed anew in the backward pass; gradients stay the same.

    Random numbers are rewound, so dropout draws the same masks. The variant that needs no gradient at the layers' inputs is
    used: with the other one, frozen embeddings would have to pretend that they are trained.

    Raises:
        UserError: the family's implementation has no such layers.
    """
    if not family_of(model.config.model_type).gradient_checkpointing:
        raise UserError(
            f"train.gradient_checkpointing: models of family {model.config.model_type!r} cannot do that, received true; "
            "set it to false, and train.micro_batch_size to a smaller number if memory is short"
        )
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    model.disable_input_require_grads()
