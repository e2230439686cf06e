"""Calibration: whether a method is right as often as it is sure.

Macro F1 looks at the predicted class only. Who acts on the probability of a prediction (a threshold, an expected cost, texts that
a person should read) needs probabilities that mean what they say.

Letters: N texts, K classes, B bins.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, log_loss


class Bin(NamedTuple):
    """The `texts` texts whose confidence lies in (low, high]: their mean confidence, and the share that is predicted rightly.

    `accuracy_low` and `accuracy_high` are the ends of Wilson's interval (JASA 22, 1927) of that share.
    """

    low: float
    high: float
    texts: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def reliability_bins(labels: np.ndarray, probabilities: np.ndarray, bins: int, interval: float = 0.95) -> list[Bin]:
    """Return the bins of confidence that hold at least one text, in ascending order.

    The confidence of a text is its largest probability, and the class that has it is the predicted one (of equal ones the
    first). `bins` bins of equal width divide 0 to 1; each holds its upper end and not its lower one (Guo, Pleiss, Sun and
    Weinberger, ICML 2017). With K classes no confidence is below 1/K, so the lower bins are empty.

    Args:
        labels: shape (N,), in 0..K-1.
        probabilities: shape (N, K), rows that sum to 1.
        interval: confidence level of the interval of the accuracy in a bin.
    """
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)
    found = []
    for b in np.unique(place):
        inside = place == b
        texts, right = int(inside.sum()), int(hit[inside].sum())
        ends = binomtest(right, texts).proportion_ci(interval, method="wilson")
        mean = float(confidence[inside].mean())
        found.append(Bin(float(edges[b]), float(edges[b + 1]), texts, mean, right / texts, float(ends.low), float(ends.high)))
    return found


def expected_calibration_error(bins: list[Bin]) -> float:
    """Return ECE = sum_b (n_b / N) |accuracy_b - confidence_b|, from 0 to 1 (Naeini, Cooper and Hauskrecht, AAAI 2015).

    It is an estimate that errs upwards: even of perfect probabilities a bin of n texts shows a gap of about
    sqrt(p (1 - p) / n), and the absolute value keeps gaps from cancelling.
    """
    total = sum(b.texts for b in bins)
    return sum(b.texts / total * abs(b.accuracy - b.confidence) for b in bins)


def calibration_scores(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> dict[str, float]:
    """Return how good probabilities (N, K) are for `labels` (N,): keys `nll`, `brier`, `ece` and `ece_bins`.

    nll: mean negative log-likelihood of the labels, -1/N sum_i log p_i[y_i], in nats; a probability counts as at least the
    machine epsilon of its type. brier: 1/N sum_i sum_k (p_ik - [y_i = k])^2, over all K classes and so from 0 to 2, for two
    classes as well (Brier, Monthly Weather Review 78, 1950). Both are proper: none but the true probabilities has a lower
    expectation. ece: expected calibration error of the predicted class in `bins` bins of equal width.
    """
    classes = np.arange(probabilities.shape[1])
    return {
        "nll": float(log_loss(labels, probabilities, labels=classes)),
        "brier": float(brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)),
        "ece": expected_calibration_error(reliability_bins(labels, probabilities, bins)),
        "ece_bins": bins,
    }
