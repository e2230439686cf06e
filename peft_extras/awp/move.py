"""The move of one weight tensor, and its way back."""

import torch

LOW_PRECISION = (torch.bfloat16, torch.float16)


class Move:
    """The move of one weight tensor by size ||w|| g / ||g||, uphill: `do` it, and `undo` it bit for bit.

    One tensor is handled at a time, so that each operation finds in the processor's cache what the previous one left there.
    Norms and sums are float32 for weights in a lower precision, which then rounds the moved weight: a share of the elements
    stays where it is if the move is less than half of the distance to the next number (bfloat16: 0.2 to 0.4 % of an element).

    Args:
        gradient: dL/dw in w's shape; None if the loss does not depend on w.
        rows: indices of the rows to move; None for all.
        each_row: each row moves by the ratio of its own norms, size ||w_i|| g_i / ||g_i||, instead of the whole tensor's.

    Attributes:
        norm: ||w||, with `each_row` over the rows that move.
        gradient_norm: ||g||; 0 without a gradient.
        distance: ||v||, how far w actually moved: the precision rounds the move, and a zero weight does not move.
    """

    @torch.no_grad()
    def __init__(
        self, weight: torch.Tensor, gradient: torch.Tensor | None, rows: torch.Tensor | None = None, *, each_row: bool = False
    ):
        self.weight, self.rows, self.each_row = weight, rows, each_row
        self.norm = norm(weight)
        self.gradient_norm = self.distance = torch.zeros_like(self.norm)
        self.gradient = gradient if gradient is None or rows is None else gradient[rows]
        self.original = weight.clone() if rows is None else weight[rows]
        if each_row:
            self.norm = norm(self.original)

    @torch.no_grad()
    def do(self, size: float, box: float | None = None) -> None:
        """Move to w + size ||w|| g / ||g||; with `box`, each element is then cut to w - box |w| .. w + box |w|."""
        gradient, self.gradient = self.gradient, None
        if gradient is None:
            return
        self.gradient_norm = norm(gradient)
        if self.each_row:
            scale = ratio(size * norm(self.original, dim=1), norm(gradient, dim=1))[:, None]
        else:
            scale = ratio(size * self.norm, self.gradient_norm)
        original = widened(self.original)
        moved = torch.addcmul(original, widened(gradient), scale)
        if box is not None:
            reach = original.abs().mul_(box)
            moved = torch.clamp(moved, original - reach, original + reach)
        moved = moved.to(self.original.dtype)
        self._write(moved)
        self.distance = norm(widened(moved).sub_(original))

    @torch.no_grad()
    def undo(self) -> None:
        self._write(self.original)

    def _write(self, values: torch.Tensor) -> None:
        if self.rows is None:
            self.weight.copy_(values)
        else:
            self.weight[self.rows] = values


def norm(tensor: torch.Tensor, dim: int | None = None) -> torch.Tensor:
    """The Frobenius norm, or the Euclidean norms along `dim`; of a tensor in low precision in float32."""
    return torch.linalg.vector_norm(tensor, dim=dim, dtype=torch.float32 if tensor.dtype in LOW_PRECISION else None)


def widened(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in low precision as float32; any other as it is."""
    return tensor.float() if tensor.dtype in LOW_PRECISION else tensor


def ratio(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """numerator / denominator, and 0 where the denominator is 0 (or not a number)."""
    return torch.where(denominator > 0, numerator / denominator, 0.0)
