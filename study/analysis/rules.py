"""What all conclusions share: names, the rules that were fixed beforehand, and how an estimate becomes flat numbers."""

from dataclasses import dataclass

import numpy as np

from study.analysis.bootstrap import Estimate

REFERENCE = "full"  # the method that the others are compared with
TESTED = ("lora", "adapter")  # the methods that are tested against it; the head alone is what all three must beat
ORDER = ("full", "lora", "adapter", "head")
CONDITIONS = ("none", "mixout", "awp", "both")
TARGETS = ("attention", "feed_forward", "all")


@dataclass(frozen=True)
class Rules:
    """How conclusions are drawn, fixed before the study: margin of equivalence, confidence, resamples and their seed."""

    margin: float
    confidence: float
    samples: int
    seed: int = 0


def numbers(key: str, estimate: Estimate) -> dict[str, float]:
    """Return `key` (the mean), `key`_sd (between seeds), and the ends of the interval `key`_low and `key`_high."""
    parts = {"": estimate.value, "_sd": estimate.between_seeds, "_low": estimate.low, "_high": estimate.high}
    return {f"{key}{end}": rounded(value) for end, value in parts.items()}


def rounded(value: float) -> float:
    """Round to six decimals, and -0.0 to 0.0."""
    return round(float(value), 6) + 0.0


def known(key: str, value: float, lowest: float, highest: float) -> dict[str, float]:
    """Return `key`, a mean over seeds, and `key`_min and `key`_max, its lowest and highest seed, as far as they are numbers."""
    parts = {"": value, "_min": lowest, "_max": highest}
    return {f"{key}{end}": rounded(number) for end, number in parts.items() if np.isfinite(number)}
