"""What the perturbations of a training actually did."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from peft_extras.awp.move import Move


@dataclass
class PerturbationLog:
    """Sums over the perturbations of a training, in this process.

    Attributes:
        steps: number of perturbations (one per forward and backward pass in the window), without those skipped.
        tensors: weight tensors times perturbations.
        unmoved: how many of them did not move, because w or its gradient was zero.
        ratio_sum, ratio_max: sum and maximum of the realised ||v|| / ||w|| over the tensors that moved; below epsilon where a
            box cut the move or a low precision rounded it away. For an embedding that moves row by row, w is its touched rows.
        skipped: perturbations left out because a gradient was not finite, as when the scaled loss of float16 overflows.
    """

    steps: int = 0
    tensors: int = 0
    unmoved: int = 0
    ratio_sum: float = 0.0
    ratio_max: float = 0.0
    skipped: int = 0

    @property
    def ratio_mean(self) -> float:
        moved = self.tensors - self.unmoved
        return self.ratio_sum / moved if moved else 0.0

    @property
    def unmoved_share(self) -> float:
        return self.unmoved / self.tensors if self.tensors else 0.0

    @torch.no_grad()
    def add(self, moves: Sequence[Move]) -> bool:
        """Count one perturbation, and return whether every number of it is finite.

        If a gradient is not, it counts as skipped. If the gradients are and a move is not, then epsilon is out of all
        proportion: `ratio_sum` says so by not being finite either.
        """
        if not torch.isfinite(torch.stack([move.gradient_norm for move in moves])).all():
            self.skipped += 1
            return False
        distances = torch.stack([move.distance for move in moves])
        norms = torch.stack([move.norm for move in moves])
        ratios = torch.where(distances > 0, distances / norms, 0.0)
        self.steps += 1
        self.tensors += len(moves)
        self.unmoved += int((distances == 0).sum())
        total = float(ratios.double().sum()) if torch.isfinite(distances).all() else math.nan
        self.ratio_sum += total
        self.ratio_max = max(self.ratio_max, float(ratios.max()))
        return math.isfinite(total)
