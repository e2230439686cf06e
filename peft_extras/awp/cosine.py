"""How far a perturbation turns the gradient."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from peft_extras.awp.log import PerturbationLog
from peft_extras.awp.perturbation import AdversarialWeightPerturbation, cuda_devices

Gradients = Sequence[torch.Tensor | None]


def gradient_cosine(model: nn.Module, awp: AdversarialWeightPerturbation, compute_loss: Callable[[], torch.Tensor]) -> float:
    """Return the cosine between the gradient at w and that at w + v, over all trainable parameters of `model`.

    Formula: <g(w), g(w + v)> / (||g(w)|| ||g(w + v)||), the parameters taken as one vector, g = dL/dw with the same dropout
    and mixout masks at both points. 1: the same direction as in plain training; 0: a right angle to it, so that a step
    with the gradient at w + v leaves the loss at w as it is, to first order.
    Not a number if one of the two is zero or not finite.

    Weights, `.grad`, the random state and the log of `awp` are as before afterwards. Costs three forward and backward passes.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    devices, log, awp.log = cuda_devices([*trained, *awp.weights]), awp.log, PerturbationLog()

    def gradients() -> Gradients:
        with torch.random.fork_rng(devices=devices):
            return torch.autograd.grad(compute_loss(), trained, allow_unused=True)

    try:
        here = gradients()
        with awp.perturbed(compute_loss):
            there = gradients()
    finally:
        awp.log = log
    lengths = (_dot(here, here) * _dot(there, there)) ** 0.5
    return _dot(here, there) / lengths if lengths > 0 else math.nan


def _dot(a: Gradients, b: Gradients) -> float:
    """The scalar product, added up in float64; a parameter without a gradient counts as zero."""
    return sum(float((x.double() * y.double()).sum()) for x, y in zip(a, b, strict=True) if x is not None and y is not None)
