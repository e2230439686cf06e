"""The perturbation of a model's weights: where they move, and for how long."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

import torch
from torch import nn

from peft_extras.awp.log import PerturbationLog
from peft_extras.awp.move import Move, norm
from peft_extras.awp.targets import Embeddings, Target, embedding_weights, requiring_gradients, weights_to_move


class AdversarialWeightPerturbation:
    """Moves each weight tensor uphill, and back.

    Formula, for each tensor w with more than one dimension, with Frobenius norms over the whole tensor:
    v = + epsilon ||w|| g / ||g||, g = dL/dw (Wu, Xia, Wang 2020, section 4, one step from v = 0; the sign makes the loss
    rise). A tensor whose ||w|| or ||g|| is 0 is not moved, as with LoRA at the start: B is zero, and therefore so is the
    gradient of A. Biases, normalization weights and DoRA's magnitudes (one dimension) are never moved.

    A batch reads only some rows of an embedding, and the others have no gradient. Only those rows are moved, with the same
    result: copying a whole vocabulary costs more than all other weights together.

    Weights in bfloat16 or float16 move too, see `Move`. The loss may be scaled, as a gradient scaler for float16 does: the
    norms cancel the scale. If a gradient is not finite, the weights stay at w and the log counts a skipped perturbation.

    Args:
        model: whose parameters are moved.
        epsilon: ||v|| / ||w||, greater than 0.
        target: "trainable", or "all" for the frozen weights too: then full fine-tuning, LoRA and adapters at the same point
            of the same function meet the same move of the weights that they share (what a method adds moves by its own norm
            as well). Frozen weights need a gradient only in the first pass and never have a `.grad`.
        embeddings: how the weight of an `nn.Embedding` moves. "tensor": as above; the norm is the whole matrix's and the
            gradient that of a few rows, which therefore move by far more than epsilon of themselves. "rows": row i by
            epsilon ||w_i|| g_i / ||g_i||, if it has a gradient. "exclude": not at all.
        box: None, or a share b > 0 for the reading of epsilon that is common in public code (`adv_lr` and `adv_eps` in AWP
            classes of Kaggle competitions; not the paper's): v = clamp(step ||w|| g / ||g||, -b |w|, +b |w|), element by
            element. `epsilon` then has no effect, and the log tells the ratio ||v|| / ||w|| that came out.
        step: ||v|| / ||w|| before the box cuts it; without a box it has no effect.

    Raises:
        ValueError: a number is not positive, a name is unknown, or no parameter qualifies.
    """

    def __init__(
        self,
        model: nn.Module,
        epsilon: float,
        *,
        target: Target = "trainable",
        embeddings: Embeddings = "tensor",
        box: float | None = None,
        step: float = 1e-4,
    ):
        for name, value in (("epsilon", epsilon), ("step", step), *([] if box is None else [("box", box)])):
            if not value > 0:
                raise ValueError(f"awp: {name} must be greater than 0, received {value!r}")
        for name, choice, known in (("target", target, get_args(Target)), ("embeddings", embeddings, get_args(Embeddings))):
            if choice not in known:
                raise ValueError(f"awp: {name} must be one of {', '.join(known)}, received {choice!r}")
        self.epsilon, self.box, self.step = epsilon, box, step
        self.each_row = embeddings == "rows"
        self.weights = weights_to_move(model, self._candidates(model), target, embeddings)
        self.embeddings = embedding_weights(model)
        self.log = PerturbationLog()

    @property
    def size(self) -> float:
        """||v|| / ||w|| before a box cuts it."""
        return self.epsilon if self.box is None else self.step

    @contextmanager
    def perturbed(self, compute_loss: Callable[[], torch.Tensor]) -> Iterator[torch.Tensor]:
        """Hold the weights at w + v, v from the gradient of `compute_loss()` at w; restore w bit for bit on exit.

        Yields the loss at w (a detached scalar).
        The gradient comes from `torch.autograd.grad`, so gradients accumulated in `.grad` are not touched, and no hook of
        a distributed wrapper sees it. The random number generator is rewound after `compute_loss()`: a loss computed in
        the block draws the same dropout and mixout masks and is therefore the same function of w.
        """
        with torch.random.fork_rng(devices=cuda_devices(self.weights)), requiring_gradients(self.weights):
            loss = compute_loss()
            gradients = torch.autograd.grad(loss, self.weights, allow_unused=True)
            loss = loss.detach()  # frees the graph that leads to parameters other than these weights
        moves: list[Move] = []
        try:
            for weight, gradient in zip(self.weights, gradients, strict=True):
                by_row = gradient is not None and id(weight) in self.embeddings
                rows = self._rows(gradient) if by_row else None
                moves.append(Move(weight, gradient, rows, each_row=by_row and self.each_row))
                moves[-1].do(self.size, self.box)
            del gradients, gradient
            if not self._record(moves):  # looked at once, at the end: each look would wait for the device
                for move in moves:
                    move.undo()
            torch.clear_autocast_cache()  # inside autocast it would hold the weights as they were, in a lower precision
            yield loss
        finally:
            for move in moves:
                move.undo()
            torch.clear_autocast_cache()

    def _candidates(self, model: nn.Module) -> list[torch.Tensor]:
        """All tensors of the model from which `target` and `embeddings` choose."""
        return list(model.parameters())

    @torch.no_grad()
    def _rows(self, gradient: torch.Tensor) -> torch.Tensor:
        """Indices of the rows of an embedding that have a gradient: those that the batch read."""
        return norm(gradient, dim=1).nonzero().squeeze(1)

    def _record(self, moves: Sequence[Move]) -> bool:
        """Add the moves to the log, and return whether they may stand: whether every number is finite."""
        return self.log.add(moves)


def cuda_devices(weights: Sequence[torch.Tensor]) -> list[torch.device]:
    """The CUDA devices on which `weights` lie, whose random state must be kept."""
    return sorted({weight.device for weight in weights if weight.is_cuda}, key=str)
