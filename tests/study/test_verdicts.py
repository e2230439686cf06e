"""The words follow the tests: equivalence agrees with the 90 % interval, and Holm's correction with a hand-computed one."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t

from study.analysis.bootstrap import Estimate
from study.analysis.verdicts import difference_p, equivalence_p, holm, pooled, smallest_margin, verdict

MARGIN = 0.01


def found(value: float, error: float, freedom: float = 6.0) -> Estimate:
    reach = t.isf(0.05, freedom) * error
    return Estimate(value, 0.0, value - reach, value + reach, error, freedom)


@pytest.mark.parametrize("value", np.linspace(-0.012, 0.012, 7))
@pytest.mark.parametrize("error", [0.001, 0.003, 0.006])
def test_equivalence_is_shown_exactly_where_the_90_percent_interval_lies_between_the_margins(value, error):
    e = found(value, error)
    assert (equivalence_p(e, MARGIN) < 0.05) == (e.low > -MARGIN and e.high < MARGIN)


@pytest.mark.parametrize("value", [-0.008, 0.0, 0.015])
def test_at_the_smallest_margin_the_test_of_equivalence_is_at_its_level(value):
    e = found(value, 0.003)
    assert equivalence_p(e, smallest_margin(e, 0.05)) == pytest.approx(0.05)


def with_parts(value: float, of_texts: float, of_seeds: float, of_both: float) -> Estimate:
    error = np.sqrt(of_texts + max(of_seeds - of_both, 0))
    return Estimate(value, 0.0, value, value, float(error), 6.0, of_texts, of_seeds, of_both, 5)


def test_the_pooled_variance_by_hand():
    one, other = with_parts(0.01, 4e-6, 1e-6, 2e-6), with_parts(0.02, 3e-6, 9e-6, 2e-6)
    found = pooled({"one": one, "other": other})
    # surplus of the seeds: (-1 + 7) / 2 = 3, in millionths; spread: (1 + 81) / 4 / 4
    assert found["one"].error == pytest.approx(np.sqrt(7e-6)) and found["other"].error == pytest.approx(np.sqrt(6e-6))
    assert found["one"].freedom == pytest.approx(49 / (82 / 16)) and found["other"].freedom == pytest.approx(36 / (82 / 16))
    assert found["one"].error > one.error and found["other"].error < other.error and found["one"].value == 0.01
    assert pooled({}) == {}


def test_p_values_by_hand():
    e = found(0.004, 0.002, np.inf)
    assert difference_p(e) == pytest.approx(2 * (1 - NormalDist().cdf(2)))
    assert equivalence_p(e, MARGIN) == pytest.approx(NormalDist().cdf(-3))
    assert difference_p(found(0.0, 0.0)) == 1 and difference_p(found(0.1, 0.0)) == 0
    assert equivalence_p(found(0.0, 0.0), MARGIN) == 0 and equivalence_p(found(0.01, 0.0), MARGIN) == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1, 1] and holm([]) == []
    assert holm([0.01, 0.02], planned=4) == pytest.approx([0.04, 0.06])


def test_what_holm_decides_before_all_tests_are_made_is_not_taken_back():
    generator = np.random.default_rng(1)
    for _ in range(500):
        p = generator.random(8) ** 4
        early, late = holm(p[:3].tolist(), planned=8), holm(p.tolist())[:3]
        assert all(one >= other - 1e-12 for one, other in zip(early, late, strict=True))


def test_holm_keeps_the_rate_of_any_false_discovery():
    generator = np.random.default_rng(0)
    any_found = np.mean([min(holm(generator.random(8))) < 0.05 for _ in range(4000)])
    assert any_found == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 4000))


@pytest.mark.parametrize(
    ("value", "different", "equivalent", "word"),
    [
        (-0.02, 0.001, 0.9, "worse"),
        (0.02, 0.001, 0.9, "better"),
        (0.001, 0.6, 0.01, "equivalent"),
        (-0.003, 0.01, 0.01, "equivalent"),  # not 0, but smaller than what matters
        (-0.01, 0.2, 0.5, "not decided"),
    ],
)
def test_the_word(value, different, equivalent, word):
    assert verdict(value, different, equivalent, 0.05) == word
