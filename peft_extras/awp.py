"""Adversarial weight perturbation (Wu, Xia, Wang, NeurIPS 2020): train on the loss at the worst point near the weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class PerturbationLog:
    """What the perturbations of a training actually did.

    Attributes:
        steps: number of perturbations (one per forward and backward pass in the window).
        tensors: weight tensors times perturbations.
        unmoved: how many of them did not move, because w or its gradient was zero.
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
    v = epsilon ||w|| g / ||g||, g = dL/dw. A tensor whose ||w|| or ||g|| is 0 is not moved, as with LoRA at the start: B is
    zero, and therefore so is the gradient of A. Biases and normalization weights (one dimension) are never moved.

    A batch reads only some rows of an embedding, and the others have no gradient. Only those rows are moved, with the same
    result: copying a whole vocabulary costs more than all other weights together.

    Args:
        model: whose trainable parameters are moved.
        epsilon: ||v|| / ||w||, greater than 0.

    Raises:
        ValueError: epsilon is not positive, or no trainable parameter has more than one dimension.
    """

    def __init__(self, model: nn.Module, epsilon: float):
        if not epsilon > 0:
            raise ValueError(f"awp: epsilon must be greater than 0, received {epsilon!r}")
        self.epsilon = epsilon
        self.weights = [weight for weight in model.parameters() if weight.requires_grad and weight.dim() > 1]
        if not self.weights:
            raise ValueError("awp: the model has no trainable weight tensor with more than one dimension")
        self.embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        self.log = PerturbationLog()

    @contextmanager
    def perturbed(self, compute_loss: Callable[[], torch.Tensor]) -> Iterator[torch.Tensor]:
        """Hold the weights at w + v, v from the gradient of `compute_loss()` at w; restore w bit for bit on exit.

        Yields the loss at w (a detached scalar).
        The gradient comes from `torch.autograd.grad`, so gradients accumulated in `.grad` are not touched, and no hook of
        a distributed wrapper sees it. The random number generator is rewound after `compute_loss()`: a loss computed in
        the block draws the same dropout and mixout masks and is therefore the same function of w.
        """
        with torch.random.fork_rng(devices=_cuda_devices(self.weights)):
            loss = compute_loss()
            gradients = torch.autograd.grad(loss, self.weights, allow_unused=True)
            loss = loss.detach()  # frees the graph that leads to parameters other than these weights
        moves: list[Move] = []
        try:
            for weight, gradient in zip(self.weights, gradients, strict=True):
                by_row = gradient is not None and id(weight) in self.embeddings
                moves.append(Move(weight, gradient, self._rows(gradient) if by_row else None))
                moves[-1].do(self.epsilon)
            del gradients, gradient
            self._record(moves)
            yield loss
        finally:
            for move in moves:
                move.undo()

    @torch.no_grad()
    def _rows(self, gradient: torch.Tensor) -> torch.Tensor:
        """Indices of the rows of an embedding that have a gradient: those that the batch read."""
        return torch.linalg.vector_norm(gradient, dim=1).nonzero().squeeze(1)

    @torch.no_grad()
    def _record(self, moves: Sequence["Move"]) -> None:
        distances = torch.stack([move.distance for move in moves])
        norms = torch.stack([move.norm for move in moves])
        ratios = torch.where(distances > 0, distances / norms, 0.0)
        self.log.steps += 1
        self.log.tensors += len(moves)
        self.log.unmoved += int((distances == 0).sum())
        self.log.ratio_sum += float(ratios.double().sum())
        self.log.ratio_max = max(self.log.ratio_max, float(ratios.max()))


class Move:
    """The move of one weight tensor by epsilon ||w|| g / ||g||: `do` it, and `undo` it bit for bit.

    One tensor is handled at a time, so that each operation finds in the processor's cache what the previous one left there.

    Args:
        rows: indices of the rows to move; None for all.

    Attributes:
        norm: ||w||.
        distance: how far w actually moved: float32 rounds the move, and a zero weight does not move.
    """

    @torch.no_grad()
    def __init__(self, weight: nn.Parameter, gradient: torch.Tensor | None, rows: torch.Tensor | None):
        self.weight, self.rows = weight, rows
        self.norm = torch.linalg.vector_norm(weight)
        self.distance = torch.zeros_like(self.norm)
        self.gradient = gradient if gradient is None or rows is None else gradient[rows]
        self.original = weight.clone() if rows is None else weight[rows]

    @torch.no_grad()
    def do(self, epsilon: float) -> None:
        gradient, self.gradient = self.gradient, None
        if gradient is None:  # the loss does not depend on this weight
            return
        gradient_norm = torch.linalg.vector_norm(gradient)
        scale = torch.where(gradient_norm > 0, epsilon * self.norm / gradient_norm, 0.0)
        moved = torch.addcmul(self.original, gradient, scale)
        self._write(moved)
        self.distance = torch.linalg.vector_norm(moved.sub_(self.original))

    @torch.no_grad()
    def undo(self) -> None:
        self._write(self.original)

    def _write(self, values: torch.Tensor) -> None:
        if self.rows is None:
            self.weight.copy_(values)
        else:
            self.weight[self.rows] = values


def _cuda_devices(weights: Sequence[torch.Tensor]) -> list[torch.device]:
    return sorted({weight.device for weight in weights if weight.is_cuda}, key=str)
