"""The rows of a cell, and the predictions as text."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from datasets import Dataset

from stages.classifier.splits import column
from stages.project.errors import UserError
from study.definition import find_cell, params_of
from study.settings import load_study
from study.texts import classes_in, digits, texts_of
from tests.imports import ROOT

SIZES = {"train": 70, "validation": 10, "test": 20}


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "study/params.yaml")


def load(name: str) -> Dataset:
    """Rows whose ids tell where they came from; every second one is positive."""
    first = 1000 * list(SIZES).index(name)
    size = SIZES[name]
    return Dataset.from_dict({"input_ids": [[first + i] for i in range(size)], "label": [i % 2 for i in range(size)]})


def ids(rows: Dataset) -> list[int]:
    return [row[0] for row in rows["input_ids"][:]]


def texts(study, name: str, **changes):
    cell = replace(find_cell(study, name), transfer=False, **changes)
    return texts_of(cell, params_of(cell, study, 1e-3), study.settings.seed, load)


def test_a_smaller_training_set_is_the_same_for_all_seeds_and_keeps_the_shares_of_the_classes(study):
    one, other = texts(study, "conditions-full-none-1", rows=20), texts(study, "conditions-lora-both-2", rows=20)
    assert ids(one.train) == ids(other.train) and len(one.train) == 20 and set(ids(one.train)) < set(ids(load("train")))
    assert column(one.train, "label").sum() == 10
    assert ids(one.validation) == ids(load("validation")) and ids(one.sets["test"]) == ids(load("test"))


def test_all_rows_stay_in_their_order(study):
    assert ids(texts(study, "conditions-full-none-1").train) == ids(load("train"))


def test_a_split_of_its_own_divides_all_rows_anew_in_the_same_fractions(study):
    one, other = texts(study, "splits-full-none-1", rows=None), texts(study, "splits-full-none-2", rows=None)
    parts = [ids(one.train), ids(one.validation), ids(one.sets["test"])]
    assert [len(part) for part in parts] == [70, 10, 20]
    assert sorted(chain(*parts)) == sorted(chain(*(ids(load(name)) for name in SIZES)))
    assert set(ids(one.sets["test"])) != set(ids(other.sets["test"]))
    assert [ids(part) for part in texts(study, "splits-lora-none-1", rows=None)[:2]] == parts[:2]  # the same for all methods


def test_cells_that_choose_do_not_see_the_test_set(study):
    assert texts(study, "rates_full-none-0.0001-101", rows=20).sets == {}


def test_more_rows_than_there_are_is_refused(study):
    with pytest.raises(UserError, match="rows asks for 250 training rows, but there are 70; lower it"):
        texts(study, "rows-full-250-1")


def test_predictions_are_a_digit_each_or_numbers_with_spaces():
    few, many = np.array([0, 1, 9]), np.array([0, 10, 7])
    assert digits(few, 10) == "019" and digits(many, 11) == "0 10 7"
    assert classes_in("019", 10).tolist() == [0, 1, 9] and classes_in("0 10 7", 11).tolist() == [0, 10, 7]
