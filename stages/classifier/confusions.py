"""Which classes are taken for which others."""

from typing import NamedTuple

import numpy as np


class Confusion(NamedTuple):
    """`texts` texts of class `actual` were predicted to be `predicted`."""

    actual: int
    predicted: int
    texts: int


def most_confused(matrix: np.ndarray, how_many: int = 10) -> list[Confusion]:
    """Return the pairs of different classes with the largest counts in a confusion matrix (K, K), a row per actual class.

    The largest first, of equal ones the first in order of class; pairs that never occur are left out.
    """
    errors = matrix - np.diag(matrix.diagonal())
    largest = np.argsort(-errors, axis=None, kind="stable")[:how_many]
    pairs = np.stack(np.unravel_index(largest, errors.shape), axis=1).tolist()
    return [Confusion(row, column, int(errors[row, column])) for row, column in pairs if errors[row, column]]


def most_erring(matrix: np.ndarray, how_many: int) -> np.ndarray:
    """Return, in ascending order, the `how_many` classes with the most errors: texts missed, and texts of others."""
    errors = matrix.sum(axis=1) + matrix.sum(axis=0) - 2 * matrix.diagonal()
    return np.sort(np.argsort(-errors, kind="stable")[:how_many])
