"""Stratified parts: exact sizes, every class's share, nothing twice, the same draw for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.prepare.splitting import limited, shares_to_cut, split, strata, stratified_sample
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
    parts = split(labels, ["no", "yes"], params.data, seed=13)
    assert list(parts) == ["train", "validation", "test"]
    assert [len(part) for part in parts.values()] == [700, 100, 200]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1000))
    assert [int(np.sum(labels[part] == 0)) for part in parts.values()] == [420, 60, 120]


def test_the_seed_decides_the_draw(params):
    labels = np.repeat([0, 1], 50)
    first, same, other = (split(labels, ["no", "yes"], params.data, seed)["test"].tolist() for seed in (1, 1, 2))
    assert first == same != other


def test_a_limit_keeps_that_many_rows():
    labels = np.repeat([0, 1], [75, 25])
    assert np.bincount(labels[limited(labels, 20, seed=1)]).tolist() == [15, 5]
    for none in (0, 100, 101):
        assert limited(labels, none, seed=1).tolist() == list(range(100))


def test_a_class_that_a_split_would_lack_is_named(params, with_params):
    labels = np.repeat([0, 1], [97, 3])
    with pytest.raises(UserError, match=r"class 'rare' has 3 row\(s\).*into validation \(10% of the data\).*about 10 rows"):
        split(labels, ["common", "rare"], params.data, seed=1)
    with pytest.raises(UserError, match=r"raise data\.limit \(6\)"):
        split(np.repeat([0, 1], 3), ["no", "yes"], with_params(data={"limit": 6}).data, seed=1)
    with pytest.raises(UserError, match=r"class 'yes' has 0 row\(s\)"):
        split(np.zeros(50, dtype=int), ["no", "yes"], params.data, seed=1)


def test_what_is_missing_is_cut_from_train_in_the_proportion_of_the_fractions(params):
    assert shares_to_cut(params.data, ["train"]) == {"test": 0.2, "validation": 0.1}
    assert shares_to_cut(params.data, ["train", "test"]) == {"validation": pytest.approx(0.1 / (0.7 + 0.1))}
    assert shares_to_cut(params.data, ["train", "validation"]) == {"test": pytest.approx(0.2 / (0.7 + 0.2))}
    assert shares_to_cut(params.data, ["train", "validation", "test"]) == {}


def test_a_given_split_is_kept_and_the_rest_is_stratified(params):
    labels = np.array([0, 1] * 100)
    places = np.repeat([0, 2], [160, 40])
    parts = split(labels, ["no", "yes"], params.data, 13, places, ("train", "test"))
    assert parts["test"].tolist() == list(range(160, 200))
    assert [len(parts[name]) for name in ("train", "validation")] == [140, 20]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(200))
    assert int(labels[parts["validation"]].sum()) == 10
    whole = split(labels, ["no", "yes"], params.data, 13, np.arange(200) % 3, ("train", "validation", "test"))
    assert all((np.arange(200)[part] % 3 == i).all() for i, part in enumerate(whole.values()))


def test_a_limit_keeps_the_share_of_every_split():
    labels, places = np.array([0, 0, 1, 1] * 50), np.repeat([0, 1, 2], [120, 40, 40])
    kept = limited(strata(labels, places, 2), 40, seed=1)
    assert np.bincount(places[kept]).tolist() == [24, 8, 8] and np.bincount(labels[kept]).tolist() == [20, 20]


def test_a_class_that_a_given_split_lacks_is_named_without_advice_on_fractions(params):
    places, given = np.array([0] * 50 + [2] * 10), ("train", "test")

    def fault(labels) -> str:
        with pytest.raises(UserError) as caught:
            split(np.array(labels), ["a", "b"], params.data, 1, places, given)
        return str(caught.value)

    missing = fault([0, 1] * 25 + [0] * 10)
    assert "class 'b' has 25 row(s) after cleaning, none of them in test, which was given; give test rows" in missing
    assert "%" not in missing
    assert "has 5 row(s) after cleaning, none of them in train, which was given; give train" in fault([0] * 50 + [0, 1] * 5)
    few = fault([1] + [0] * 49 + [0, 1] * 5)
    assert "class 'b' has 6 row(s) after cleaning, 1 of them given for train, none of which falls into" in few
    assert "of train's rows); give it about" in few


def test_strata_of_many_classes_do_not_run_into_each_other():
    labels, places = np.array([199, 0, 199]), np.array([2, 1, 0], dtype=np.int8)  # as they are stored
    assert strata(labels, places, 200).tolist() == [599, 200, 199]
    assert strata(labels // 2, places, 100).tolist() == [299, 100, 99]
