"""Mixout (Lee, Cho, Kang, ICLR 2020): training randomly replaces parts of a weight by their initial values."""

from collections.abc import Iterable

import torch
from torch import nn


class MixoutLinear(nn.Linear):
    """A linear layer whose weight is mixed with its initial value u during training.

    Formula, in training: w~ = (M w + (1 - M) u - p u) / (1 - p), with M = 1 with probability 1 - p, drawn once per
    input feature (column of the weight) and forward pass. E[w~] = w, and dw~/dw = M / (1 - p). In evaluation: w.
    With u = 0 this is dropout on the input features.

    Shapes: input (..., in_features), weight w and anchor u (out_features, in_features). The bias is not mixed. The
    state dict has the keys of nn.Linear only: u is the weight at construction and is not saved.

    A weight in bfloat16 or float16 is mixed in float32 and rounded once. Autocast does not touch the mixing: it casts w~ for the
    product, as it would cast w.

    Raises:
        ValueError: p outside [0, 1).
    """

    anchor: torch.Tensor

    def __init__(self, linear: nn.Linear, p: float):
        if not 0 <= p < 1:
            raise ValueError(f"mixout: p must be in [0, 1), received {p!r}")
        # on the meta device: weight and bias come from `linear` and need no initialization
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.p = p
        self.weight = linear.weight
        self.bias = linear.bias
        self.register_buffer("anchor", linear.weight.detach().clone(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.mixed_weight() if self.training else self.weight, self.bias)

    def mixed_weight(self) -> torch.Tensor:
        """Draw M and return w~ (out_features, in_features)."""
        if self.p == 0:
            return self.weight
        keep = torch.empty(self.in_features, device=self.weight.device, dtype=torch.float32).bernoulli_(1 - self.p)
        w, u = self.weight, self.anchor
        if w.dtype in (torch.bfloat16, torch.float16):
            w, u = w.float(), u.float()
        mixed = torch.where(keep.bool(), w, u)
        return ((mixed - self.p * u) / (1 - self.p)).to(self.weight.dtype)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, p={self.p}"


def apply_mixout(model: nn.Module, names: Iterable[str], p: float) -> int:
    """Replace every nn.Linear at or below the modules called `names` by a `MixoutLinear` with the same parameters.

    Call it after PEFT has wrapped the model, with the names of the trained modules: PEFT would copy a layer that was
    replaced earlier, or look it up by a name that it no longer has, and mixout would be lost silently.

    Returns:
        The number of layers replaced, at least 1.

    Raises:
        ValueError: p outside [0, 1), or a name below which no linear layer was found.
        AttributeError: no module of that name.
    """
    count = 0
    for root in names:
        found = {
            name: module
            for name, module in model.get_submodule(root).named_modules(prefix=root)
            if isinstance(module, nn.Linear) and not isinstance(module, MixoutLinear)
        }
        if not found:
            raise ValueError(f"mixout: no linear layer found at or below {root!r}")
        for name, linear in found.items():
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, MixoutLinear(linear, p))
        count += len(found)
    return count
