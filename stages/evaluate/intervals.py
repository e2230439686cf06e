"""Bootstrap intervals of macro F1 and of the paired difference between two methods on the same texts.

The percentile bootstrap of Efron and Tibshirani (An Introduction to the Bootstrap, 1993, chapter 13): draw N of the N
test texts with replacement, compute the score on them, repeat, and take quantiles of the scores. For two methods both
scores are computed on the *same* drawn texts and subtracted, so that the difficulty of a text for both cancels (Koehn,
EMNLP 2004; Berg-Kirkpatrick, Burkett and Klein, EMNLP-CoNLL 2012).

Macro F1 depends on a sample only through how often each combination of label and predictions occurs. When rows are drawn
with replacement, these counts are exactly multinomial over the observed combinations ("cells"), with their shares as
probabilities. Drawing the counts costs J binomial draws per resample instead of N rows, where J <= N is the number of
cells: a handful for two classes.

The intervals describe the variation between possible test sets, not between the seeds of training.

Letters: N texts, K classes, M methods, J cells, S resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

_BLOCK = 2**21  # numbers in memory at once: 16 MiB of counts, whatever J, K and S are


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are computed: from `samples` resamples drawn with `seed`; a share `confidence` of the scores lies inside."""

    samples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Cells:
    """The distinct combinations of label and predictions: labels (J,), predictions (M, J), and their counts (J,)."""

    labels: np.ndarray
    predictions: np.ndarray
    counts: np.ndarray


def joint_cells(labels: np.ndarray, predictions: Sequence[np.ndarray]) -> Cells:
    """Count the combinations of `labels` (N,) and M `predictions` (N,): only those that occur, in sorted order.

    Raises:
        ValueError: there are no rows, or the arrays differ in length.
    """
    if len(labels) == 0:
        raise ValueError("no rows to resample")
    cells, counts = np.unique(np.stack([labels, *predictions]), axis=1, return_counts=True)
    return Cells(cells[0], cells[1:], counts)


def macro_f1(counts: np.ndarray, labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the macro F1 (S,) of S tables of cell counts (S, J), given label and prediction of each cell, both (J,).

    F1_k = 2 TP_k / (2 TP_k + FP_k + FN_k), where the denominator is the number of times that k is the label plus the number
    of times that it is the prediction. A class that is neither scores 0, and the mean is over all `num_classes`, as in
    `stages.classifier.scores`.
    """
    cells = np.arange(len(labels))
    hit = labels == predictions
    shape = (len(labels), num_classes)
    true_positives = csr_array((np.ones(hit.sum(), dtype=np.int64), (cells[hit], labels[hit])), shape=shape)
    both_ways = (np.tile(cells, 2), np.concatenate([labels, predictions]))
    occurrences = csr_array((np.ones(2 * len(labels), dtype=np.int64), both_ways), shape=shape)
    numerator = 2 * (counts @ true_positives)
    denominator = counts @ occurrences
    return np.divide(numerator, denominator, out=np.zeros(denominator.shape), where=denominator > 0).mean(axis=1)


def resampled_f1(labels: np.ndarray, predictions: Sequence[np.ndarray], num_classes: int, samples: int, seed: int) -> np.ndarray:
    """Return macro F1 (M, S) of M methods on S resamples; a column has all methods on the same resample."""
    cells = joint_cells(labels, predictions)
    blocks = [
        [macro_f1(counts, cells.labels, predicted, num_classes) for predicted in cells.predictions]
        for counts in _resampled_counts(cells.counts, num_classes, samples, seed)
    ]
    return np.concatenate([np.stack(block) for block in blocks], axis=1)


def f1_interval(labels: np.ndarray, predictions: np.ndarray, num_classes: int, bootstrap: Bootstrap) -> tuple[float, float]:
    """Return the percentile bootstrap interval (low, high) of the macro F1 of `predictions`."""
    (scores,) = resampled_f1(labels, [predictions], num_classes, bootstrap.samples, bootstrap.seed)
    return _percentile_interval(scores, bootstrap.confidence)


def f1_difference_interval(
    labels: np.ndarray, predictions: np.ndarray, reference: np.ndarray, num_classes: int, bootstrap: Bootstrap
) -> tuple[float, float]:
    """Return the paired percentile bootstrap interval (low, high) of macro F1(`predictions`) - macro F1(`reference`).

    The cells combine only these two methods, so that retraining a third one does not change the interval.
    """
    ours, theirs = resampled_f1(labels, [predictions, reference], num_classes, bootstrap.samples, bootstrap.seed)
    return _percentile_interval(ours - theirs, bootstrap.confidence)


def _resampled_counts(counts: np.ndarray, num_classes: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield multinomial counts (S_i, J), with sum of S_i = `samples`; the size of the blocks does not change the numbers."""
    generator = np.random.Generator(np.random.PCG64(seed))
    total = int(counts.sum())
    rows = max(1, _BLOCK // max(len(counts), num_classes))
    for start in range(0, samples, rows):
        yield generator.multinomial(total, counts / total, size=min(rows, samples - start))


def _percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
