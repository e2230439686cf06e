"""The statistics reported of timings: median, 95th percentile, and a confidence interval of a median."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """Median of the ratios of `rounds` rounds, and the interval [low, high] that holds the true median with `coverage`."""

    value: float
    low: float
    high: float
    rounds: int
    coverage: float


def median(values: Sequence[float] | np.ndarray) -> float:
    return float(np.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The `percent`-th percentile, interpolated linearly between the two nearest values."""
    return float(np.percentile(values, percent))


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return an interval (low, high) of the population's median that assumes no distribution, and its exact coverage.

    With x_(1) <= ... <= x_(n) the sorted values, the interval is [x_(k), x_(n+1-k)], whose coverage is
    P(k <= S <= n - k), S ~ Binomial(n, 1/2) the number of values below the median (Conover, Practical Nonparametric
    Statistics, 1999, section 3.2). k is the largest whose coverage is at least `confidence`. Where even k = 1 has less, the
    interval is the whole range, with coverage 1 - 2^(1-n): 0.94 for five values, 0.5 for two, 0 for one. It is then not an
    interval of that confidence, and whoever quotes it says so: that is why the coverage is returned.
    """
    ordered = np.sort(values)
    coverage = {k: 1 - 2 * float(binom.cdf(k - 1, len(ordered), 0.5)) for k in range(1, (len(ordered) + 1) // 2 + 1)}
    k = max((k for k in coverage if coverage[k] >= confidence), default=1)
    return float(ordered[k - 1]), float(ordered[-k]), coverage[k]


def paired_ratio(values: Sequence[float], reference: Sequence[float]) -> Ratio:
    """Median of values[r] / reference[r] over the rounds r, with its confidence interval (`median_interval`).

    Dividing within a round cancels what slowed the whole round down.
    """
    ratios = [value / other for value, other in zip(values, reference, strict=True)]
    low, high, coverage = median_interval(ratios)
    return Ratio(median(ratios), low, high, len(ratios), coverage)


def significant(value: float, digits: int = 4) -> float:
    """`value` rounded to `digits` significant digits: a timing is not more precise than that."""
    return float(f"{value:.{digits}g}")
