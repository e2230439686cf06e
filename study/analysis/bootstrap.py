"""Intervals of a mean over seeds of macro F1, and of the difference of two such means, over other seeds and other test texts.

Two things could have come out otherwise: the seeds of training and the test texts. Every seed's model predicts the same texts,
so the two are crossed, and so is the bootstrap: draw seeds with replacement, then texts, and score all drawn seeds on the same
drawn texts. That is the Multi-Bootstrap (Sellam et al., "The MultiBERTs", ICLR 2022; for crossed factors in general Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 1, 2007). Two methods are compared on the same drawn seeds and texts.

A bootstrap over a handful of seeds is too narrow: it takes the spread of S seeds around their own mean, and looks up a normal
quantile where Student's is due (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69,
2015). And what a seed does to a single text is counted in both draws. The parts are therefore also estimated apart, as in an
analysis of variance with two crossed random factors:

    V_texts = variance over drawn texts of the mean over all S seeds
    V_seeds = 1/(S (S - 1)) sum_s (x_s - mean x)^2
    V_both  = 1/(S (S - 1)) sum_s variance over drawn texts of (x_s - mean x), the part that is in both
    SE^2    = V_texts + max(V_seeds - V_both, 0)        degrees of freedom = SE^4 / (V_seeds^2 / (S - 1))

(Satterthwaite, Biometrics Bulletin 2, 1946), and the drawn quantiles are scaled about their mean to the width of Student's
interval, which keeps their skewness. tests/study/test_bootstrap.py measures the coverage by simulation.

Letters: N texts, K classes, M methods, S seeds, R resamples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

_BLOCK = 2**22  # numbers in memory at once


@dataclass(frozen=True)
class Resamples:
    """Macro F1 of M methods.

    Attributes:
        by_seed: on the test set itself, (M, S).
        drawn: mean over the drawn seeds on the drawn texts, (M, R); a column has the same seeds and texts for all methods.
        on_texts: of each seed on the drawn texts, (M, S, R).
    """

    by_seed: np.ndarray
    drawn: np.ndarray
    on_texts: np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, and what that is made of.

    Attributes:
        between_seeds: standard deviation between seeds.
        error, freedom: standard error and degrees of freedom.
        of_texts, of_seeds, of_both: the parts V_texts, V_seeds and V_both of the variance; 0 where not estimated.
        seeds: S.
    """

    value: float
    between_seeds: float
    low: float
    high: float
    error: float
    freedom: float
    of_texts: float = 0.0
    of_seeds: float = 0.0
    of_both: float = 0.0
    seeds: int = 0


def resample(labels: np.ndarray, predictions: np.ndarray, num_classes: int, samples: int, seed: int) -> Resamples:
    """Draw `samples` times seeds and texts with replacement and score all methods on them.

    Args:
        labels: shape (N,), in 0..K-1.
        predictions: classes, shape (M, S, N); entry s of every method was trained with the same seed.

    Raises:
        ValueError: there are fewer than two seeds, or no texts.
    """
    methods, seeds, texts = predictions.shape
    if seeds < 2 or texts == 0:
        raise ValueError(f"{seeds} seeds and {texts} texts: a spread needs two seeds and a text")
    generator = np.random.Generator(np.random.PCG64(seed))
    hits, occurrences = _counted(labels, predictions.reshape(-1, texts), num_classes)
    drawn, on_texts = [], []
    block = max(1, _BLOCK // max(texts, hits.shape[1]))
    for start in range(0, samples, block):
        rows = min(block, samples - start)
        chosen = generator.integers(0, seeds, (rows, 1, seeds))
        weights = generator.multinomial(texts, np.full(texts, 1 / texts), size=rows).astype(np.float32)
        scores = _macro_f1(weights @ hits, weights @ occurrences, num_classes).reshape(rows, methods, seeds)
        drawn.append(np.take_along_axis(scores, chosen, axis=2).mean(axis=2))
        on_texts.append(scores)
    whole = _macro_f1(hits.sum(axis=0), occurrences.sum(axis=0), num_classes).reshape(methods, seeds)
    return Resamples(whole, np.concatenate(drawn).T, np.concatenate(on_texts).transpose(1, 2, 0))


def _counted(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each text and each model and class, true positives and label + prediction: both (N, models * K).

    In float32, whose whole numbers are exact up to 2^24: a matrix product with counts of texts then has no rounding.
    """
    classes = np.arange(num_classes)
    actual = labels[:, None, None] == classes
    predicted = predictions.T[:, :, None] == classes
    shape = len(labels), -1
    hits = (actual & predicted).astype(np.float32).reshape(shape)
    return hits, (actual.astype(np.float32) + predicted).astype(np.float32).reshape(shape)


def _macro_f1(hits: np.ndarray, occurrences: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the mean over classes of F1_k = 2 TP_k / (label_k + prediction_k), 0 for a class that is neither."""
    f1 = np.divide(2.0 * hits, occurrences, out=np.zeros(hits.shape), where=occurrences > 0)
    return f1.reshape(*hits.shape[:-1], -1, num_classes).mean(axis=-1)


def estimate(by_seed: np.ndarray, drawn: np.ndarray, on_texts: np.ndarray, confidence: float) -> Estimate:
    """Return the mean of `by_seed` (S,) with the interval of this module, from `drawn` (R,) and `on_texts` (S, R)."""
    value, seeds = float(by_seed.mean()), len(by_seed)
    mean = on_texts.mean(axis=0)
    of_texts = float(mean.var(ddof=1))
    of_seeds = float(by_seed.var(ddof=1)) / seeds
    of_both = float((on_texts - mean).var(axis=1, ddof=1).sum()) / (seeds * (seeds - 1))
    variance = of_texts + max(of_seeds - of_both, 0.0)
    freedom = float(variance**2 / (of_seeds**2 / (seeds - 1))) if of_seeds > 0 else np.inf
    freedom = max(freedom, seeds - 1.0)  # never less than if only the seeds differed
    spread, tail = drawn.std(ddof=1), (1 - confidence) / 2
    error = float(np.sqrt(variance))
    low, high = np.quantile(drawn, [tail, 1 - tail]) - drawn.mean()
    scale = t.isf(tail, freedom) * error / (norm.isf(tail) * spread) if spread > 0 else 0.0
    between = float(by_seed.std(ddof=1))
    ends = float(value + scale * low), float(value + scale * high)
    return Estimate(value, between, *ends, error, freedom, of_texts, of_seeds, of_both, seeds)


def contrast(resamples: Resamples, weights: Mapping[int, float], confidence: float) -> Estimate:
    """Return the mean over seeds of sum_m w_m F1_m, all methods m on the same seeds and texts; `weights` has w_m by m."""

    def combined(part: np.ndarray) -> np.ndarray:
        return np.sum([weight * part[method] for method, weight in weights.items()], axis=0)

    return estimate(combined(resamples.by_seed), combined(resamples.drawn), combined(resamples.on_texts), confidence)


def mean_f1(resamples: Resamples, method: int, confidence: float) -> Estimate:
    """Return the mean macro F1 of a method over its seeds."""
    return contrast(resamples, {method: 1}, confidence)


def mean_difference(resamples: Resamples, method: int, reference: int, confidence: float) -> Estimate:
    """Return the mean over seeds of macro F1 of `method` minus that of `reference`, paired by seed and by text."""
    return contrast(resamples, {method: 1, reference: -1}, confidence)


def seeds_only(values: np.ndarray, confidence: float, shared: float = 0.0) -> Estimate:
    """Return the mean of `values` (S,) with Student's interval over seeds alone: for scores without stored predictions.

    Args:
        shared: what is added to 1 / S where the values share data, see `study.analysis.series.splits`.
    """
    seeds = len(values)
    value, between = float(values.mean()), float(values.std(ddof=1))
    error = between * float(np.sqrt(1 / seeds + shared))
    reach = float(t.isf((1 - confidence) / 2, seeds - 1)) * error
    return Estimate(value, between, value - reach, value + reach, error, seeds - 1)
