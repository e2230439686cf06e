"""Medians, percentiles, and the interval of a median, compared with the binomial distribution that defines it."""

import numpy as np
import pytest
from scipy.stats import binom

from stages.benchmark.statistics import median_interval, paired_ratio, percentile, significant


def coverage(n: int, k: int) -> float:
    """P(k <= S <= n - k) for S ~ Binomial(n, 1/2): the probability that [x_(k), x_(n+1-k)] contains the median."""
    return binom.cdf(n - k, n, 0.5) - binom.cdf(k - 1, n, 0.5)


@pytest.mark.parametrize("n", [6, 7, 8, 9, 19, 20, 79, 100])
def test_interval_is_the_narrowest_symmetric_one_that_covers(n):
    low, high, covered = median_interval(range(1, n + 1))  # the values are their own ranks
    k = int(low)
    assert high == n + 1 - k
    assert covered == pytest.approx(coverage(n, k))
    assert coverage(n, k) >= 0.95
    assert coverage(n, k + 1) < 0.95


def test_twenty_values_give_ranks_six_and_fifteen():
    assert median_interval(np.random.default_rng(0).permutation(20) + 1.0) == (6, 15, pytest.approx(0.9586, abs=1e-4))


@pytest.mark.parametrize("n", range(1, 6))
def test_few_values_give_their_range_and_say_how_little_it_covers(n):
    assert median_interval(range(n, 0, -1)) == (1, n, pytest.approx(1 - 2 ** (1 - n)))


def test_another_confidence_needs_another_number_of_values():
    assert median_interval(range(1, 6), confidence=0.9) == (1, 5, pytest.approx(0.9375))
    low, high, covered = median_interval(range(1, 21), confidence=0.5)
    assert (low, high) == (8, 13) and covered == pytest.approx(coverage(20, 8))


def test_ratio_is_taken_within_a_round():
    drift = np.array([1.0, 1.5, 4.0, 9.0, 2.0, 3.0, 7.0])  # the machine slows down by up to nine times
    ratio = paired_ratio(1.25 * drift, drift)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.25, 1.25, 1.25))
    assert (ratio.rounds, ratio.coverage) == (7, pytest.approx(1 - 2**-6))


def test_ratio_of_an_arm_to_itself_is_one():
    values = [0.3, 0.1, 0.2]
    ratio = paired_ratio(values, values)
    assert (ratio.value, ratio.low, ratio.high) == (1, 1, 1)


def test_rounds_must_match():
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1.0, 2.0], [1.0])


def test_percentile_interpolates():
    assert percentile(range(101), 95) == 95
    assert percentile([0, 1], 95) == pytest.approx(0.95)


@pytest.mark.parametrize(("value", "rounded"), [(0.00123456, 0.001235), (98765.4, 98770.0), (0.0, 0.0)])
def test_significant_digits(value, rounded):
    assert significant(value) == rounded
