"""From an estimated difference to a word: two one-sided tests of equivalence, a test of difference, and Holm's correction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import t

from study.analysis.bootstrap import Estimate

VERDICTS = ("equivalent", "worse", "better", "not decided")


def difference_p(estimate: Estimate) -> float:
    """Return the two-sided p of "the difference is 0": Student's t with the degrees of freedom of `estimate`."""
    if estimate.error == 0:
        return float(estimate.value == 0)
    return float(2 * t.sf(abs(estimate.value) / estimate.error, estimate.freedom))


def equivalence_p(estimate: Estimate, margin: float) -> float:
    """Return the p of "the difference is `margin` or more, one way or the other".

    Two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987): the larger p of "not above
    -margin" and "not below +margin". Below 0.05 where Student's 90 % interval, which is symmetric, lies between the margins.
    """
    if estimate.error == 0:
        return float(abs(estimate.value) >= margin)
    above = t.sf((estimate.value + margin) / estimate.error, estimate.freedom)
    below = t.cdf((estimate.value - margin) / estimate.error, estimate.freedom)
    return float(max(above, below))


def smallest_margin(estimate: Estimate, level: float) -> float:
    """Return the smallest margin at which `equivalence_p` is `level`: |difference| + t SE, with t that of one side."""
    return abs(estimate.value) + float(t.isf(level, estimate.freedom)) * estimate.error


def pooled(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Return K estimates with the variance over seeds that all of them share; their intervals are not changed.

        SE_k^2 = V_texts,k + max(mean_j (V_seeds,j - V_both,j), 0)
        degrees of freedom_k = SE_k^4 / (sum_j V_seeds,j^2 / ((S - 1) K^2))

    With S = 5 seeds V_seeds,k has four degrees of freedom, and its surplus over V_both,k is often estimated as 0 where it is
    not. The differences of a study share their reference and so are not independent, which the degrees of freedom ignore: this is
    a check of a verdict, not the test behind it.
    """
    if not estimates:
        return {}
    parts = list(estimates.values())
    of_seeds = max(float(np.mean([e.of_seeds - e.of_both for e in parts])), 0.0)
    spread = sum(e.of_seeds**2 / (e.seeds - 1) for e in parts) / len(parts) ** 2
    result = {}
    for key, e in estimates.items():
        variance = e.of_texts + of_seeds
        freedom = max(variance**2 / spread, e.seeds - 1.0) if spread > 0 else np.inf
        result[key] = replace(e, error=float(np.sqrt(variance)), freedom=float(freedom))
    return result


def holm(p: Sequence[float], planned: int | None = None) -> list[float]:
    """Return p values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979).

    The i-th smallest of n is multiplied by n - i + 1, is at least as large as the one before, and at most 1. Whatever is below
    a level then keeps the probability of any false discovery below it, however the tests depend on each other.

    Args:
        planned: n, if more tests are planned than are made yet. Those to come then count as if their p were 1; whatever it will
            be, no value returned here gets larger by it, so that what is called different or equivalent is not taken back later.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * (max(planned or 0, len(values)) - np.arange(len(values)))
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected.tolist()


def verdict(value: float, different: float, equivalent: float, level: float) -> str:
    """Return one of `VERDICTS` for a difference `value`, from its two corrected p values.

    A difference that is shown to be smaller than the margin is called equivalent even where it is shown not to be 0: the
    margin was fixed as what matters.
    """
    if equivalent < level:
        return "equivalent"
    if different < level:
        return "worse" if value < 0 else "better"
    return "not decided"
