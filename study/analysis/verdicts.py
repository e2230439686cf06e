"""From an estimated difference to a word: two one-sided tests of equivalence, a test of difference, and Holm's correction."""

from collections.abc import Sequence

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
    -margin" and "not below +margin". Below 0.05 exactly where the 90 % interval lies between the margins.
    """
    if estimate.error == 0:
        return float(abs(estimate.value) >= margin)
    above = t.sf((estimate.value + margin) / estimate.error, estimate.freedom)
    below = t.cdf((estimate.value - margin) / estimate.error, estimate.freedom)
    return float(max(above, below))


def holm(p: Sequence[float], planned: int | None = None) -> list[float]:
    """Return p values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979).

    The i-th smallest of n is multiplied by n - i + 1, is at least as large as the one before, and at most 1. Whatever is below
    a level then keeps the probability of any false discovery below it, however the tests depend on each other.

    Args:
        planned: n, if more tests are planned than are made yet. Those to come then count as if their p were 1; whatever it will
            be, no value returned here gets larger by it, so that what is concluded before the end is not taken back.
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
