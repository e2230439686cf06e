"""Adversarial weight perturbation (Wu, Xia, Wang, NeurIPS 2020): learn from the loss at the worst point near the weights."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class PerturbationLog:
    """What the perturbations of a training really did.

    Attributes:
        steps: number of perturbations (one per forward and backward pass in the window).
        tensors: weight tensors times perturbations.
        unmoved: those of them that stayed where they were, because w or its gradient was zero.
        ratio_sum, ratio_max: sum and maximum of the realised ||v|| / ||w|| over the tensors that moved.
    """

    steps: int = 0
    tensors: int = 0
    unmoved: int = 0
    ratio_sum: float = 0.0
    ratio_max: float = 0.0

    @property
    def ratio_mean(self) -> float:
        moved = self.tensors - self.unmoved
        return self.ratio_sum / moved if moved else 0.0

    @property
    def unmoved_share(self) -> float:
        return self.unmoved / self.tensors if self.tensors else 0.0


class AdversarialWeightPerturbation:
    """Moves each trainable weight tensor uphill, and back.

    Formula, for each tensor w with more than one dimension, with Frobenius norms over the whole tensor:
    v = epsilon ||w|| g / ||g||, g = dL/dw. A tensor whose ||w|| or ||g|| is 0 is not moved: so it is at first with LoRA, where
    B is zero and therefore the gradient of A too. Biases and normalization weights (one dimension) are never moved.

    Args:
        parameters: the model's parameters; those that are frozen or have one dimension are left out.
        epsilon: ||v|| / ||w||, greater than 0.

    Raises:
        ValueError: epsilon is not positive, or no parameter is left.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], epsilon: float):
        if not epsilon > 0:
            raise ValueError(f"awp: epsilon must be greater than 0, received {epsilon!r}")
        self.epsilon = epsilon
        self.weights = [weight for weight in parameters if weight.requires_grad and weight.dim() > 1]
        if not self.weights:
            raise ValueError("awp: the model has no trainable weight tensor with more than one dimension")
        self.log = PerturbationLog()

    @contextmanager
    def perturbed(self, compute_loss: Callable[[], torch.Tensor]):
        """Hold the weights at w + v, v from the gradient of `compute_loss()` at w; on leaving put w back bit for bit.

        Yields the loss at w (a detached scalar).
        The gradient is taken with `torch.autograd.grad`, so gradients accumulated in `.grad` are not touched, and no hook
        of a distributed wrapper sees it. The random number generator is rewound after `compute_loss()`: a loss computed in
        the block draws the same dropout and mixout masks and so is the same function of w.
        """
        with torch.random.fork_rng(devices=_cuda_devices(self.weights)):
            loss = compute_loss()
            gradients = torch.autograd.grad(loss, self.weights, allow_unused=True)
        originals = [weight.detach().clone() for weight in self.weights]
        try:
            self._ascend(gradients)
            del gradients
            self._record(originals)
            yield loss.detach()
        finally:
            with torch.no_grad():
                for weight, original in zip(self.weights, originals, strict=True):
                    weight.copy_(original)

    @torch.no_grad()
    def _ascend(self, gradients: Sequence[torch.Tensor | None]) -> None:
        gradients = [
            torch.zeros_like(weight) if gradient is None else gradient
            for weight, gradient in zip(self.weights, gradients, strict=True)
        ]
        weight_norms = torch._foreach_norm(self.weights)
        gradient_norms = torch._foreach_norm(gradients)
        for weight, gradient, weight_norm, gradient_norm in zip(
            self.weights, gradients, weight_norms, gradient_norms, strict=True
        ):
            scale = torch.where(gradient_norm > 0, self.epsilon * weight_norm / gradient_norm, 0.0)
            weight.addcmul_(gradient, scale)

    @torch.no_grad()
    def _record(self, originals: Sequence[torch.Tensor]) -> None:
        """Measure what the weights really did: in float32 the move is rounded, and a zero weight does not move."""
        moves = torch.stack(torch._foreach_norm(torch._foreach_sub(self.weights, originals)))
        norms = torch.stack(torch._foreach_norm(list(originals)))
        ratios = torch.where(moves > 0, moves / norms, 0.0)
        self.log.steps += 1
        self.log.tensors += len(self.weights)
        self.log.unmoved += int((moves == 0).sum())
        self.log.ratio_sum += float(ratios.double().sum())
        self.log.ratio_max = max(self.log.ratio_max, float(ratios.max()))


def _cuda_devices(weights: Sequence[torch.Tensor]) -> list[torch.device]:
    return sorted({weight.device for weight in weights if weight.is_cuda}, key=str)


def in_window(step: int, steps_per_epoch: int, start: float, end: float) -> bool:
    """Whether optimizer step `step` (0, 1, ... within its epoch) lies in [start, end) of the epoch.

    With start 0.5 and end 1 that is the second half: steps ceil(S / 2) .. S - 1 of S.
    """
    return start <= step / steps_per_epoch < end
