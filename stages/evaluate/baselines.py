"""Baselines: two that know nothing of the texts, and the one that every user would try first.

A difference between two methods means something only if both are above what needs no learning, and fine-tuning is worth its
price only if it is above what takes seconds.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from stages.classifier.splits import column

# scikit-learn's own pattern drops words of one letter and all that is not a word: of emoji or of Chinese little would be left
_TOKEN = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|\w+|[^\w\s]"
_MOST_ROWS = 200_000  # which take about half a minute
_MOST_ROWS_TIMES_CLASSES = 1_000_000  # the cost of an iteration of logistic regression is proportional to both


@dataclass(frozen=True)
class Baseline:
    """The classes (N,) that a baseline predicts for the N test texts, and on how many rows it was trained.

    Attributes:
        probabilities: of each class, (N, K); None for one that draws classes, whose probabilities say nothing of it.
    """

    predictions: np.ndarray
    training_rows: int
    probabilities: np.ndarray | None = None


def make_baselines(train: Dataset, test: Dataset, seed: int) -> dict[str, Baseline]:
    """Return three baselines by name.

    majority: the most frequent class of `train`, always, with the frequencies there as its probabilities. stratified: each
    class at random, with its frequency in `train`, drawn with `seed`. tfidf: logistic regression on TF-IDF weights of single
    words (and of single CJK characters, marks and emoji), with scikit-learn's default settings otherwise. It reads whole
    texts, not only their first tokens, and is trained on all rows of `train` or, where that would take long, on a random
    sample of them.
    """
    labels, nothing = column(train, "label"), np.zeros((len(test), 1))
    baselines = {}
    classes = int(max(labels.max(), column(test, "label").max())) + 1
    for name, strategy in {"majority": "prior", "stratified": "stratified"}.items():
        dummy = DummyClassifier(strategy=strategy, random_state=seed).fit(np.zeros((len(train), 1)), labels)
        probabilities = _of_all_classes(dummy, dummy.predict_proba(nothing), classes) if name == "majority" else None
        baselines[name] = Baseline(dummy.predict(nothing), len(train), probabilities)
    sample = _sample(labels, seed)
    model = _tfidf(train.select(sample), labels[sample])
    found = model.predict_proba(_texts(test))
    predictions = model.classes_[found.argmax(axis=1)]
    baselines["tfidf"] = Baseline(predictions, len(sample), _of_all_classes(model, found, classes))
    return baselines


def _of_all_classes(model: Pipeline | DummyClassifier, probabilities: np.ndarray, classes: int) -> np.ndarray:
    """Return probabilities (N, classes), with 0 for classes that `model` was not trained on."""
    found = np.zeros((len(probabilities), classes))
    found[:, model.classes_] = probabilities
    return found


def _sample(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the indices of all rows or, in ascending order, of a random sample of as many as can be afforded.

    Every class has at least one row there: scikit-learn's stratified split refuses a class with a single row.
    """
    classes = int(labels.max()) + 1
    most = min(_MOST_ROWS, max(_MOST_ROWS_TIMES_CLASSES // classes, 10 * classes))
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    first = np.unique(labels[order], return_index=True)[1]
    return np.sort(np.concatenate([order[first], np.delete(order, first)])[:most])


def _tfidf(train: Dataset, labels: np.ndarray) -> Pipeline:
    model = make_pipeline(TfidfVectorizer(token_pattern=_TOKEN), LogisticRegression())
    with warnings.catch_warnings():  # a few more iterations would not move a baseline
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(_texts(train), labels)
    return model


def _texts(rows: Dataset) -> Iterator[str]:
    """Yield the texts of `rows`, a thousand in memory at a time."""
    for batch in rows.with_format("arrow").select_columns("text").iter(1000):
        yield from batch["text"].to_pylist()
