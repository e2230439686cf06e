"""Baselines: two that know nothing of the texts, and the one that every user would try first.

A difference between two methods means something only if both are above what needs no learning, and fine-tuning is worth its
price only if it is above what takes seconds.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from datasets import Dataset
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from stages.classifier.splits import column

BASELINES = ("majority", "stratified", "tfidf")
# scikit-learn's own pattern drops words of one letter and all that is not a word: of emoji or of Chinese little would be left
_TOKEN = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|\w+|[^\w\s]"


def baseline_predictions(train: Dataset, test: Dataset, seed: int) -> dict[str, np.ndarray]:
    """Return the classes (N,) that each baseline predicts for the N texts of `test`.

    majority: the most frequent class of `train`, always. stratified: each class at random, with its frequency in `train`,
    drawn with `seed`. tfidf: logistic regression on TF-IDF weights of single words (and of single CJK characters, marks and
    emoji), both with scikit-learn's default settings otherwise, trained on all texts of `train` as they are, not truncated.
    """
    labels, rows = column(train, "label"), np.zeros((len(test), 1))
    predictions = {}
    for name, strategy in {"majority": "most_frequent", "stratified": "stratified"}.items():
        dummy = DummyClassifier(strategy=strategy, random_state=seed).fit(np.zeros((len(train), 1)), labels)
        predictions[name] = dummy.predict(rows)
    return predictions | {"tfidf": _tfidf(train, labels, test)}


def _tfidf(train: Dataset, labels: np.ndarray, test: Dataset) -> np.ndarray:
    model = make_pipeline(TfidfVectorizer(token_pattern=_TOKEN), LogisticRegression())
    with warnings.catch_warnings():  # a few more iterations would not move a baseline
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(_texts(train), labels)
    return model.predict(_texts(test))


def _texts(rows: Dataset) -> Iterator[str]:
    """Yield the texts of `rows`, a thousand in memory at a time."""
    for batch in rows.with_format("arrow").select_columns("text").iter(1000):
        yield from batch["text"].to_pylist()
