"""Dropout on the CPU, where drawing the masks takes PyTorch a tenth of a training step or more."""

import torch
from torch import nn

LEVELS = 2**16  # the probability is rounded to a multiple of 1 / LEVELS


class CpuDropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) whose mask takes 16 random bits per element instead of one double-precision number.

    Formula, in training: y = x m / (1 - q), with m = 1 with probability 1 - q, drawn for each element, and
    q = round(65536 p) / 65536; for p = 0.1 q differs from p by 6e-6. In evaluation: x. The bits come from PyTorch's random
    number generator, one draw of 64 for four elements. On other devices this is the library's own dropout.

    Shapes: y has the shape of x, which is arbitrary.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cpu_dropout(x, self.p) if self.training else x


def cpu_dropout(x: torch.Tensor, p: float) -> torch.Tensor:
    """Return x with each element dropped with probability p and the others scaled; see `CpuDropout`."""
    dropped = round(p * LEVELS)
    if x.device.type != "cpu" or dropped == LEVELS:
        return nn.functional.dropout(x, p)
    if dropped == 0:
        return x
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: x.numel()].view(x.shape)  # uniform on -LEVELS / 2 ... LEVELS / 2 - 1
    mask = torch.ge(bits, dropped - LEVELS // 2, out=torch.empty(x.shape, dtype=x.dtype))
    scale = LEVELS / (LEVELS - dropped)
    # a lower precision would round the scale, by up to 0.2 percent, and with it every mean
    return x * mask.mul_(scale) if x.dtype == torch.float32 else (x * mask).mul_(scale)


def replace_dropout(model: nn.Module) -> int:
    """Replace every nn.Dropout of `model` by a `CpuDropout` with the same probability; return how many."""
    found = [(parent, name) for parent in model.modules() for name, child in parent.named_children() if type(child) is nn.Dropout]
    for parent, name in found:
        old = getattr(parent, name)
        setattr(parent, name, CpuDropout(old.p).train(old.training))
    return len(found)
