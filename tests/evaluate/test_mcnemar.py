"""McNemar's exact test against hand-made tables."""

from math import comb

import numpy as np
import pytest

from stages.evaluate.mcnemar import mcnemar_p


def predictions(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, ...]:
    """Return labels and two predictions with these numbers of texts that both, one or neither gets right."""
    first = np.repeat([1, 1, 0, 0], [both, only_first, only_second, neither])
    second = np.repeat([1, 0, 1, 0], [both, only_first, only_second, neither])
    return np.ones_like(first), first, second


def test_the_textbook_table():
    """Agresti, Categorical Data Analysis, approval ratings: 794, 150, 86, 570; exact two-sided p = 3.7e-5."""
    assert mcnemar_p(*predictions(794, 150, 86, 570)) == pytest.approx(3.716e-5, rel=1e-3)


@pytest.mark.parametrize(("b", "c"), [(1, 0), (5, 1), (0, 10), (7, 3), (12, 12)])
def test_it_is_twice_the_smaller_binomial_tail(b, c):
    tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert mcnemar_p(*predictions(20, b, c, 9)) == pytest.approx(min(1.0, 2 * tail))


def test_concordant_texts_do_not_count_and_the_order_does_not_matter():
    labels, first, second = predictions(3, 9, 2, 1)
    assert mcnemar_p(labels, first, second) == mcnemar_p(labels, second, first)
    assert mcnemar_p(labels, first, second) == mcnemar_p(*predictions(300, 9, 2, 100))


def test_without_discordant_texts_p_is_one():
    assert mcnemar_p(*predictions(10, 0, 0, 4)) == 1.0


def test_two_different_wrong_classes_are_not_discordant():
    assert mcnemar_p(np.array([0, 0]), np.array([1, 2]), np.array([2, 1])) == 1.0
