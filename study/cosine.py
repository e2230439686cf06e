"""How far AWP turns the gradient, at the end of every epoch of a training."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peft_extras.awp import AdversarialWeightPerturbation, gradient_cosine
from stages.memory.step import awp_arguments
from stages.project.schema import AwpParams


class CosineWatch(TrainerCallback):
    """After each evaluation, the cosine between the gradients at w and at w + v on one fixed micro-batch, without dropout.

    The training does not notice: weights, gradients, random numbers and the log of its own perturbations stay as they are.

    Args:
        batch: input_ids and attention_mask (B, T) and labels (B,).

    Attributes:
        values: one number per epoch, not a number where a gradient was zero.
    """

    def __init__(self, awp: AwpParams, batch: dict[str, torch.Tensor]):
        self.awp, self.batch = awp, batch
        self.values: list[float] = []

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        model: nn.Module = kwargs["model"]
        device = next(model.parameters()).device
        batch = {name: tensor.to(device) for name, tensor in self.batch.items()}
        labels, training = batch.pop("labels"), model.training

        def loss() -> torch.Tensor:
            return nn.functional.cross_entropy(model(**batch).logits.float(), labels)

        model.eval()
        try:
            awp = AdversarialWeightPerturbation(model, **awp_arguments(self.awp))
            self.values.append(gradient_cosine(model, awp, loss))
        finally:
            model.train(training)

    def mean(self) -> float | None:
        """The mean over the epochs that have a number, None if none has."""
        return mean_of(self.values)


def mean_of(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
