"""Stratified parts: exact sizes, every class's share, nothing twice, the same draw for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.classifier.splits import SPLITS
from stages.prepare.splitting import allotted, count_rows, limited, limited_main, quotas, shares_to_cut, split, stratified_sample
from stages.project.errors import UserError


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=5), data=st.data())
def test_a_sample_has_its_size_and_every_class_its_share(counts, data):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    size = data.draw(st.integers(0, len(labels)))
    indices = stratified_sample(labels, size, np.random.default_rng(1))
    assert len(set(indices.tolist())) == len(indices) == size
    assert (np.diff(indices) > 0).all()
    drawn = np.bincount(labels[indices], minlength=len(counts))
    shares = size * np.array(counts) / len(labels)
    assert (np.abs(drawn - shares) < 1).all()


def test_the_splits_are_70_10_20_disjoint_complete_and_stratified(params):
    labels = np.repeat([0, 1], [600, 400])
    parts = split(labels, params.data, seed=13)
    assert list(parts) == ["train", "validation", "test"]
    assert [len(part) for part in parts.values()] == [700, 100, 200]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1000))
    assert [int(np.sum(labels[part] == 0)) for part in parts.values()] == [420, 60, 120]


def test_the_seed_decides_the_draw(params):
    labels = np.repeat([0, 1], 50)
    first, same, other = (split(labels, params.data, seed)["test"].tolist() for seed in (1, 1, 2))
    assert first == same != other


def test_a_limit_keeps_that_many_rows():
    labels = np.repeat([0, 1], [75, 25])
    assert np.bincount(labels[limited(labels, 20, seed=1)]).tolist() == [15, 5]
    for none in (0, 100, 101):
        assert limited(labels, none, seed=1).tolist() == list(range(100))


def test_what_is_missing_is_cut_from_train_in_the_proportion_of_the_fractions(params):
    assert shares_to_cut(params.data, ["train"]) == {"test": 0.2, "validation": 0.1}
    assert shares_to_cut(params.data, ["train", "test"]) == {"validation": pytest.approx(0.1 / (0.7 + 0.1))}
    assert shares_to_cut(params.data, ["train", "validation"]) == {"test": pytest.approx(0.2 / (0.7 + 0.2))}
    assert shares_to_cut(params.data, ["train", "validation", "test"]) == {}


def test_a_given_split_is_kept_and_the_rest_is_stratified(params):
    labels = np.array([0, 1] * 100)
    places = np.repeat([0, 2], [160, 40])
    parts = split(labels, params.data, 13, places, ("train", "test"))
    assert parts["test"].tolist() == list(range(160, 200))
    assert [len(parts[name]) for name in ("train", "validation")] == [140, 20]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(200))
    assert int(labels[parts["validation"]].sum()) == 10
    whole = split(labels, params.data, 13, np.arange(200) % 3, ("train", "validation", "test"))
    assert all((np.arange(200)[part] % 3 == i).all() for i, part in enumerate(whole.values()))


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=8), data=st.data())
def test_a_sample_keeps_the_least_that_a_class_needs(counts, data):
    rows = np.array(counts)
    size = data.draw(st.integers(0, int(rows.sum())))
    least = data.draw(st.integers(0, size // len(rows)))
    drawn = quotas(rows, size, least)
    assert drawn.sum() == size and (drawn <= rows).all()
    assert (drawn >= np.minimum(rows, least)).all()
    if (quotas(rows, size) >= np.minimum(rows, least)).all():
        assert drawn.tolist() == quotas(rows, size).tolist()


@given(data=st.data(), splits=st.sets(st.sampled_from(SPLITS[1:])))
def test_what_a_split_gets_is_known_from_the_counts_alone(params, data, splits):
    given_splits = ("train", *(name for name in SPLITS[1:] if name in splits))
    labels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=60)))
    place = st.sampled_from([SPLITS.index(name) for name in given_splits])
    places = np.array(data.draw(st.lists(place, min_size=len(labels), max_size=len(labels))))
    parts = split(labels, params.data, 1, places, given_splits)
    have = [np.bincount(labels[parts[name]], minlength=4).tolist() for name in SPLITS]
    assert allotted(count_rows(labels, places, 4), params.data, given_splits).tolist() == have


def test_a_limit_leaves_a_given_test_set_whole(with_params):
    labels, places = np.array([0, 0, 1, 1] * 50), np.repeat([0, 1, 2], [120, 40, 40])
    data = with_params(data={"limit": 40}).data
    kept = limited_main(labels, places, 2, data, 1, SPLITS)
    assert np.bincount(places[kept]).tolist() == [40, 40, 40] and np.bincount(labels[kept]).tolist() == [60, 60]
    assert limited_main(labels, places, 2, with_params(data={"limit": 120}).data, 1, SPLITS).tolist() == list(range(200))


def test_a_limit_keeps_what_every_class_needs(with_params):
    labels = np.repeat([0, 1, 2], [960, 30, 10])
    places = np.zeros(1000, dtype=np.int8)
    data = with_params(data={"limit": 100}).data
    kept = limited_main(labels, places, 3, data, seed=1)
    assert len(kept) == 100 and np.bincount(labels[kept]).tolist() == [80, 10, 10]
    parts = split(labels[kept], data, 1)
    assert all(set(labels[kept][part]) == {0, 1, 2} for part in parts.values())
    with pytest.raises(UserError, match=r"data\.limit: 20 rows are too few for 3 classes; .*: raise it to 30 or more"):
        limited_main(labels, places, 3, with_params(data={"limit": 20}).data, seed=1)


def test_a_limit_that_harms_no_class_draws_in_proportion(with_params):
    labels, places = np.repeat([0, 1], [750, 250]), np.zeros(1000, dtype=np.int8)
    kept = limited_main(labels, places, 2, with_params(data={"limit": 100}).data, seed=3)
    assert kept.tolist() == limited(labels, 100, seed=3).tolist()


def test_counts_of_many_classes_do_not_run_into_each_other():
    labels, places = np.array([199, 0, 199]), np.array([2, 1, 0], dtype=np.int8)  # as they are stored
    counts = count_rows(labels, places, 200)
    assert counts.shape == (3, 200) and counts.sum() == 3
    assert counts[2, 199] == counts[1, 0] == counts[0, 199] == 1
