"""End a training whose numbers overflow: nothing that it could still write would be a result."""

import math
from dataclasses import dataclass

from stages.project.errors import UserError
from stages.project.schema import Params

USUAL_EPSILON, USUAL_DECAY = 0.1, 1.0  # values up to these do not make a training overflow by themselves


@dataclass
class Divergence(Exception):
    """A number of the training that is not finite.

    Attributes:
        what: which number, and its value.
        step: the optimizer step, counted from 1, in which it came up.
        steps: optimizer steps of the whole training.
        learning_rate: the learning rate of that step, below its peak during warm-up and decay.
    """

    what: str
    step: int
    steps: int
    learning_rate: float


def explained(found: Divergence, method: str, params: Params) -> UserError:
    """Return the one message that the user sees: what happened, when, and which parameters to lower."""
    train = params.train
    lower = [f"train.learning_rate.{method} ({getattr(train.learning_rate, method):g})"]
    awp = params.awp
    size = "epsilon" if awp.box is None else "box"  # a box limits the move, whatever the step is
    if awp.enabled and getattr(awp, size) > USUAL_EPSILON:
        lower.insert(0, f"awp.{size} ({getattr(awp, size):g})")
    if train.weight_decay > USUAL_DECAY:
        lower.append(f"train.weight_decay ({train.weight_decay:g})")
    range_of_fp16 = ", or set train.precision to bf16, whose range is that of fp32" if train.precision == "fp16" else ""
    return UserError(
        f"{method}: the training diverged in optimizer step {found.step} of {found.steps}, at a learning rate of "
        f"{found.learning_rate:g}: {found.what}; lower {' or '.join(lower)}{range_of_fp16}; nothing of this training is kept"
    )


def unusual(name: str, value: float) -> str | None:
    """Return in words that `value` is not finite, or None if it is."""
    return None if math.isfinite(value) else f"{name} is {value:g}"
