"""The cleaning rules, one by one and together."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.classifier.splits import SPLITS
from stages.prepare.cleaning import choose
from stages.prepare.rows import Row
from stages.prepare.store import StoredRows, key
from stages.texts.normal_form import identity, normalise

TEXTS = st.text(st.sampled_from("aA \té\u00a0e\u0301ß"), max_size=4)
ROWS = st.lists(st.builds(Row, TEXTS, st.sampled_from([0, 1, None]), st.just("train")), max_size=30)


def clean(rows, main=None, splits=("train",)):
    """The rows that stay and how many each rule dropped; `main` are texts of the main data."""
    with TemporaryDirectory() as folder:
        stored = StoredRows(Path(folder, "rows"), rows)
        of_main = None if main is None else np.array([key(text) for text in main], dtype=np.uint64)
        kept, dropped = choose(stored.labels, stored.places, stored.keys, of_main, splits)
        texts = [text for batch in stored.texts(kept) for text in batch]
        places = [SPLITS[place] for place in stored.places[kept]]
        assert stored.read == len(rows)
    return list(map(Row, texts, stored.labels[kept].tolist(), places)), {**stored.dropped, **dropped}


def test_empty_texts_and_near_ties_are_dropped():
    rows, dropped = clean([Row("  ", 1), Row("good", 1), Row("so so", None), Row("\n", None)])
    assert rows == [Row("good", 1)]
    assert dropped == {"empty": 2, "near_tie": 1, "conflicting": 0, "duplicate": 0}


def test_the_first_of_equal_texts_is_kept():
    rows, dropped = clean([Row("Good  film", 1), Row("bad", 0), Row("good film", 1), Row("GOOD FILM", 1)])
    assert rows == [Row("Good film", 1), Row("bad", 0)]
    assert dropped["duplicate"] == 2


def test_equal_texts_with_different_labels_are_all_dropped():
    rows, dropped = clean([Row("Good", 1), Row("bad", 0), Row("good", 0), Row("good", 1)])
    assert rows == [Row("bad", 0)]
    assert dropped["conflicting"] == 3 and dropped["duplicate"] == 0


def test_a_near_tie_does_not_contradict_an_equal_text():
    assert clean([Row("fine", 1), Row("fine", None)])[0] == [Row("fine", 1)]


def test_a_transfer_set_loses_what_the_main_data_has():
    rows, dropped = clean([Row("Good.", 1), Row("good.", 1), Row("new", 0)], main={"GOOD."})
    assert rows == [Row("new", 0)]
    assert (dropped["duplicate"], dropped["in_main"]) == (1, 1)


def test_a_given_test_set_keeps_all_its_rows_that_have_a_text_and_the_others_lose_its_texts():
    test = [Row("Good", 1, "test"), Row("good", 0, "test"), Row("good", 0, "test")]
    others = [Row("good", 1), Row("GOOD", 0), Row("good", 1, "validation"), Row(" \n", 1, "test")]
    rows, dropped = clean([*others, *test], splits=SPLITS)
    assert rows == test
    assert dropped == {"empty": 1, "near_tie": 0, "conflicting": 0, "duplicate": 0, "in_other_split": 3}


def test_validation_keeps_what_train_has_too():
    rows, dropped = clean([Row("a", 1), Row("a", 1), Row("A", 1, "validation"), Row("a", 1, "validation")], splits=SPLITS[:2])
    assert rows == [Row("A", 1, "validation")]
    assert (dropped["in_other_split"], dropped["duplicate"]) == (2, 1)
    rows, dropped = clean([Row("a", 1), Row("a", 0, "validation"), Row("b", 0)], splits=SPLITS[:2])
    assert rows == [Row("b", 0)] and dropped["conflicting"] == 2


@given(rows=st.lists(st.builds(Row, TEXTS, st.sampled_from([0, 1]), st.sampled_from(SPLITS)), max_size=30))
def test_no_text_stays_in_two_splits_and_every_row_is_kept_or_counted(rows):
    kept, dropped = clean(rows, splits=SPLITS)
    assert len(kept) + sum(dropped.values()) == len(rows)
    assert len({(identity(row.text), row.split) for row in kept}) == len({identity(row.text) for row in kept})
    of_test = [(normalise(row.text), row.label) for row in rows if row.split == "test" and normalise(row.text)]
    assert sorted((row.text, row.label) for row in kept if row.split == "test") == sorted(of_test)


@given(rows=ROWS, main=st.none() | st.sets(TEXTS))
def test_every_row_is_kept_or_counted_and_no_text_is_there_twice(rows, main):
    kept, dropped = clean(rows, main)
    assert len(kept) + sum(dropped.values()) == len(rows)
    identities = [identity(row.text) for row in kept]
    assert len(set(identities)) == len(identities)
    assert not set(identities) & set(map(identity, main or ()))
    assert clean(kept, main)[0] == kept
