"""The loss, the optimizer and the perturbation of the training step whose memory is predicted and whose time is measured."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from stages.project.schema import AwpParams


def make_optimizer(model: nn.Module) -> torch.optim.AdamW:
    """Fused AdamW over the trainable parameters; the learning rate is small, since no measured cost depends on it."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trainable, lr=1e-6, fused=True)


def micro_batch_loss(model: Callable[..., Any], batch: Mapping[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of `batch` (scalar), in float32 whatever `model` computes in; labels (B,)."""
    return nn.functional.cross_entropy(model(**batch).logits.float(), labels)


def awp_arguments(awp: AwpParams) -> dict[str, Any]:
    """Keyword arguments of `AdversarialWeightPerturbation` that `awp` names: how it moves, and not when."""
    return awp.model_dump(include={"epsilon", "target", "embeddings", "box", "step"})
