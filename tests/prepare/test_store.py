"""Rows on disk come back as they were, a selection in batches."""

import numpy as np
import pytest

from stages.prepare.rows import Row
from stages.prepare.store import BATCH, StoredRows, key


def rows(count: int):
    return (Row(f"  text\t{i} ", i % 3, ("train", "validation", "test")[i % 2]) for i in range(count))


def test_texts_are_normalised_and_what_has_none_or_no_label_is_counted(tmp_path):
    stored = StoredRows(tmp_path / "rows", [Row(" a  b", 1), Row(" \n", 0), Row("c", None), Row("d", 0, "test")])
    assert next(stored.texts(np.arange(2))) == ["a b", "d"]
    assert (stored.labels.tolist(), stored.places.tolist()) == ([1, 0], [0, 2])
    assert (stored.read, stored.dropped) == (4, {"empty": 1, "near_tie": 1})
    assert stored.keys.tolist() == [key("A  B"), key("d")]
    assert sum(column.nbytes for column in (stored.labels, stored.places, stored.keys)) == 2 * 17


@pytest.mark.parametrize("count", [0, 1, BATCH, 2 * BATCH + 7])
def test_any_selection_comes_back_in_full_batches(tmp_path, count):
    stored = StoredRows(tmp_path / "rows", rows(count))
    generator = np.random.default_rng(count)
    for indices in (np.arange(count), np.flatnonzero(generator.random(count) < 0.4), np.empty(0, dtype=np.int64)):
        batches = list(stored.texts(indices))
        assert [text for batch in batches for text in batch] == [f"text {i}" for i in indices]
        assert all(len(batch) == BATCH for batch in batches[:-1])
