"""The statistics reported of timings: median, 95th percentile, and a confidence interval of a median."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import quantile_test


@dataclass(frozen=True)
class Ratio:
    """Median of ratios and the confidence interval [low, high] of that median."""

    value: float
    low: float
    high: float


def median(values: Sequence[float] | np.ndarray) -> float:
    return float(np.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The `percent`-th percentile, interpolated linearly between the two nearest values."""
    return float(np.percentile(values, percent))


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return a confidence interval of the population's median that assumes no distribution.

    With x_(1) <= ... <= x_(n) the sorted values, the interval is [x_(k), x_(n+1-k)] for the largest k >= 1 with
    P(k <= S <= n - k) >= `confidence`, S ~ Binomial(n, 1/2) the number of values below the median (Conover, Practical
    Nonparametric Statistics, 1999, section 3.2). Below six values no k reaches 95 percent: the interval is then the whole
    range, with coverage 1 - 2^(1-n).
    """
    interval = quantile_test(values, p=0.5).confidence_interval(confidence)
    if np.isnan([interval.low, interval.high]).any():
        return float(min(values)), float(max(values))
    return float(interval.low), float(interval.high)


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Median of values[r] / reference[r] over the rounds r, with its 95 percent confidence interval.

    Dividing within a round cancels what slowed the whole round down.
    """
    ratios = [value / other for value, other in zip(values, reference, strict=True)]
    low, high = median_interval(ratios)
    return Ratio(median(ratios), low, high)


def significant(value: float, digits: int = 4) -> float:
    """`value` rounded to `digits` significant digits: a timing is not more precise than that."""
    return float(f"{value:.{digits}g}")
