"""The few statistics by which timings are told: median, 95th percentile, and an interval of a median."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """Median of ratios and the interval [low, high] of that median."""

    value: float
    low: float
    high: float


def median(values: Sequence[float]) -> float:
    return float(np.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The `percent`-th percentile, interpolated linearly between the two nearest values."""
    return float(np.percentile(values, percent))


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval of the population's median that assumes no distribution.

    With x_(1) <= ... <= x_(n) the sorted values, the interval is [x_(k), x_(n+1-k)] for the largest k >= 1 with
    P(k <= S <= n - k) >= `confidence`, S ~ Binomial(n, 1/2) the number of values below the median. Below six values no k
    reaches 95 percent: the interval is then the whole range, with coverage 1 - 2^(1-n).
    """
    ordered = sorted(values)
    n = len(ordered)
    tail = 0.0  # P(S < k) for the k in hand
    k = 1
    for candidate in range(1, (n + 1) // 2 + 1):
        tail += comb(n, candidate - 1) / 2**n
        if 1 - 2 * tail < confidence:
            break
        k = candidate
    return float(ordered[k - 1]), float(ordered[n - k])


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Median of values[r] / reference[r] over the rounds r, with its 95 percent interval.

    Dividing within a round cancels what slowed the whole round down.
    """
    ratios = [value / other for value, other in zip(values, reference, strict=True)]
    low, high = median_interval(ratios)
    return Ratio(median(ratios), low, high)


def significant(value: float, digits: int = 4) -> float:
    """`value` rounded to `digits` significant digits, more of which a timing does not carry."""
    return float(f"{value:.{digits}g}")
