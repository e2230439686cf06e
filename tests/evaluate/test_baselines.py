"""The baselines: the first two look at no text, the third reads any script, and a sample keeps every class."""

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from stages.evaluate import baselines
from stages.evaluate.baselines import make_baselines


def rows(texts: list[str], labels: list[int]) -> Dataset:
    return Dataset.from_dict({"text": texts, "label": np.array(labels, dtype=np.int64)})


def test_the_majority_is_that_of_training_and_guesses_have_its_frequencies():
    train = rows(["x"] * 100, [0] * 20 + [1] * 80)
    test = rows(["x"] * 2000, [0] * 2000)
    made = make_baselines(train, test, seed=1)
    assert set(made["majority"].predictions) == {1}
    # 0.8 within four standard errors of a share of 2,000
    assert abs(made["stratified"].predictions.mean() - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 2000)
    again = make_baselines(train, test, seed=1)
    assert all(np.array_equal(made[name].predictions, again[name].predictions) for name in made)
    assert not np.array_equal(made["stratified"].predictions, make_baselines(train, test, seed=2)["stratified"].predictions)


@pytest.mark.parametrize(
    ("bad", "good"), [("awful film", "lovely film"), ("😡", "😀😀"), ("这部电影很差", "这部电影很好"), ("-", "!"), ("a", "b")]
)
def test_tfidf_separates_texts_of_any_script(bad, good):
    train = rows([bad, good] * 20, [0, 1] * 20)
    assert make_baselines(train, rows([good, bad], [1, 0]), seed=0)["tfidf"].predictions.tolist() == [1, 0]


def test_many_rows_are_sampled_and_every_class_is_kept(monkeypatch):
    monkeypatch.setattr(baselines, "_MOST_ROWS", 30)
    labels = [0] * 200 + [1] * 200 + [2]  # one row: it must not be lost
    train = rows([f"word{label}" for label in labels], labels)
    tfidf = make_baselines(train, rows(["word2", "word0"], [2, 0]), seed=0)["tfidf"]
    assert tfidf.training_rows == 30
    assert make_baselines(train, train, seed=0)["majority"].training_rows == 401
    chosen = baselines._sample(np.array(labels), seed=0)
    assert Counter(np.array(labels)[chosen])[2] == 1 and len(set(chosen)) == 30
    assert np.array_equal(chosen, baselines._sample(np.array(labels), seed=0))
