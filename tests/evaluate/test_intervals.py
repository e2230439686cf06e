"""The bootstrap: F1 from counts is F1, multinomial counts behave like resampled rows, the intervals cover the truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from stages.classifier.scores import classification_scores
from stages.evaluate import intervals
from stages.evaluate.intervals import Bootstrap, f1_difference_interval, f1_interval, joint_cells, macro_f1, resampled_f1


def noisy(labels: np.ndarray, num_classes: int, error: float, seed: int) -> np.ndarray:
    """Return `labels` with a share of about `error` replaced by random classes."""
    generator = np.random.default_rng(seed)
    return np.where(generator.random(len(labels)) < error, generator.integers(0, num_classes, len(labels)), labels)


@st.composite
def labelled_predictions(draw):
    """Draw classes 0..K-1, of which some may not occur, or only as labels, or only as predictions."""
    num_classes = draw(st.integers(1, 6))
    rows = draw(st.integers(1, 40))
    column = st.lists(st.integers(0, num_classes - 1), min_size=rows, max_size=rows).map(np.array)
    return num_classes, draw(column), draw(column), draw(column)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(labelled_predictions())
def test_macro_f1_from_counts_is_that_of_scikit_learn(case):
    num_classes, labels, first, second = case
    cells = joint_cells(labels, [first, second])
    assert cells.counts.sum() == len(labels)
    for predictions, of_cell in zip((first, second), cells.predictions, strict=True):
        expected = f1_score(labels, predictions, labels=np.arange(num_classes), average="macro", zero_division=0)
        (actual,) = macro_f1(cells.counts[None], cells.labels, of_cell, num_classes)
        assert actual == pytest.approx(expected, abs=1e-12)
        assert actual == pytest.approx(classification_scores(labels, predictions, num_classes)["f1"], abs=1e-12)


@pytest.mark.slow
def test_multinomial_counts_agree_with_resampled_rows():
    """Compare mean, spread and quantiles of F1 and of the paired difference with those of drawn row indices."""
    labels = np.repeat([0, 1, 2], [10, 30, 40])
    first, second = noisy(labels, 3, 0.3, seed=1), noisy(labels, 3, 0.4, seed=2)
    samples = 4000
    ours = resampled_f1(labels, [first, second], 3, samples, seed=5)

    generator = np.random.default_rng(6)
    rows = generator.integers(0, len(labels), (samples, len(labels)))
    scores = [
        [f1_score(labels[r], p[r], labels=[0, 1, 2], average="macro", zero_division=0) for r in rows[:1000]]
        for p in (first, second)
    ]
    theirs = np.array(scores)
    for a, b in [(ours[0], theirs[0]), (ours[1], theirs[1]), (ours[0] - ours[1], theirs[0] - theirs[1])]:
        spread = b.std()
        error = spread * np.sqrt(1 / a.size + 1 / b.size)
        assert a.mean() == pytest.approx(b.mean(), abs=4 * error)
        assert a.std() == pytest.approx(spread, rel=0.12)
        assert np.quantile(a, [0.025, 0.975]) == pytest.approx(np.quantile(b, [0.025, 0.975]), abs=8 * error)


def test_pairing_narrows_the_difference_of_similar_methods():
    labels = np.arange(400) % 2
    reference = noisy(labels, 2, 0.4, seed=1)
    other = np.where(np.arange(400) < 20, labels, reference)  # differs from the reference in at most 20 rows
    paired = resampled_f1(labels, [other, reference], 2, 1000, seed=3)
    independent = resampled_f1(labels, [other], 2, 1000, seed=3)[0] - resampled_f1(labels, [reference], 2, 1000, 4)[0]
    assert (paired[0] - paired[1]).std() < 0.5 * independent.std()


def test_the_interval_covers_the_true_f1_about_as_often_as_claimed():
    """Draw 200 test sets from a known joint distribution of label and prediction, whose macro F1 is the truth."""
    cells = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    probabilities = np.array([0.5, 0.1, 0.08, 0.32])
    (truth,) = macro_f1(probabilities[None], *cells, 2)
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        labels, predictions = np.repeat(cells, generator.multinomial(300, probabilities), axis=1)
        low, high = f1_interval(labels, predictions, 2, Bootstrap(samples=400, confidence=0.9, seed=trial))
        covered += low <= truth <= high
    # 0.9 within four standard errors of a binomial share over 200 trials
    assert abs(covered / 200 - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 200)


def test_the_width_grows_with_confidence_and_falls_with_the_root_of_the_rows():
    labels = np.arange(300) % 2
    predictions = noisy(labels, 2, 0.4, seed=1)

    def width(repeats, confidence):
        bootstrap = Bootstrap(2000, confidence, seed=1)
        low, high = f1_interval(np.tile(labels, repeats), np.tile(predictions, repeats), 2, bootstrap)
        return high - low

    assert width(1, 0.5) < width(1, 0.95) < width(1, 0.99)
    assert width(1, 0.95) / width(9, 0.95) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_equal_tails_of_the_resampled_scores_lie_outside(confidence):
    labels = np.arange(1000) % 2
    predictions = noisy(labels, 2, 0.4, seed=1)
    (scores,) = resampled_f1(labels, [predictions], 2, 4000, seed=9)
    low, high = f1_interval(labels, predictions, 2, Bootstrap(4000, confidence, seed=9))
    assert np.mean(scores < low) == pytest.approx((1 - confidence) / 2, abs=0.01)
    assert np.mean(scores > high) == pytest.approx((1 - confidence) / 2, abs=0.01)


def test_certain_cases_have_intervals_of_width_zero():
    labels = np.arange(50) % 3
    bootstrap = Bootstrap(500, 0.95, seed=0)
    assert f1_interval(np.zeros(50, int), np.zeros(50, int), 1, bootstrap) == (1.0, 1.0)
    assert f1_interval(labels, (labels + 1) % 3, 3, bootstrap) == (0.0, 0.0)
    predictions = noisy(labels, 3, 0.5, seed=4)
    assert f1_difference_interval(labels, predictions, predictions.copy(), 3, bootstrap) == (0.0, 0.0)


def test_swapping_the_methods_mirrors_the_difference():
    labels = np.arange(200) % 2
    first, second = noisy(labels, 2, 0.2, seed=1), noisy(labels, 2, 0.5, seed=2)
    samples = Bootstrap(8000, 0.95, seed=0)
    low, high = f1_difference_interval(labels, first, second, 2, samples)
    assert 0 < low < high
    assert f1_difference_interval(labels, second, first, 2, samples) == pytest.approx((-high, -low), abs=0.01)


def test_the_same_seed_gives_the_same_bits_for_any_block_size(monkeypatch):
    labels = np.arange(200) % 5
    predictions = noisy(labels, 5, 0.5, seed=1)
    whole = resampled_f1(labels, [predictions], 5, 1000, seed=7)
    assert np.array_equal(whole, resampled_f1(labels, [predictions], 5, 1000, seed=7))
    assert not np.array_equal(whole, resampled_f1(labels, [predictions], 5, 1000, seed=8))
    monkeypatch.setattr(intervals, "_BLOCK", 1000)
    assert np.array_equal(whole, resampled_f1(labels, [predictions], 5, 1000, seed=7))


def test_many_classes_are_computed_in_blocks(monkeypatch):
    """With 500 classes on 2,000 rows the tables of counts stay below the block size; only observed cells are kept."""
    labels = np.arange(2000) % 500
    predictions, reference = noisy(labels, 500, 0.3, seed=1), noisy(labels, 500, 0.35, seed=2)
    sizes = []

    def recording(counts, *rest):
        sizes.append(counts.size)
        return macro_f1(counts, *rest)

    monkeypatch.setattr(intervals, "_BLOCK", 2**17)
    monkeypatch.setattr(intervals, "macro_f1", recording)
    low, high = f1_difference_interval(labels, predictions, reference, 500, Bootstrap(200, 0.95, seed=1))
    f1, other = (classification_scores(labels, p, 500)["f1"] for p in (predictions, reference))
    assert low < f1 - other < high
    assert max(sizes) <= 2**17 and len(sizes) > 2


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        joint_cells(np.array([], int), [np.array([], int)])
