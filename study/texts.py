"""The rows that a cell trains on, validates on and predicts, from what `prepare` wrote."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from datasets import Dataset, concatenate_datasets

from stages.classifier.splits import SPLITS, column, load_split, load_transfer_names
from stages.prepare.splitting import limited, split
from stages.project.errors import UserError
from stages.project.schema import Params
from study.definition import Cell


class Texts(NamedTuple):
    """Rows with the columns of `load_split`.

    Attributes:
        sets: what is predicted at the end, by name: test and the transfer sets, as far as the cell uses them.
    """

    train: Dataset
    validation: Dataset
    sets: dict[str, Dataset]


def texts_of(cell: Cell, params: Params, seed: int, load: Callable[[str], Dataset] = load_split) -> Texts:
    """Return the rows of `cell`.

    A smaller training set is a stratified sample that `seed` draws: the same rows for every method, condition and seed of the
    cell. With a split of its own, the rows of all three splits together are divided anew in the same fractions.

    Args:
        load: returns the split or transfer set of a name.

    Raises:
        UserError: there are fewer training rows than the cell asks for.
    """
    if cell.split_seed is None:
        splits = {name: load(name) for name in SPLITS}
    else:
        pool, seed = concatenate_datasets([load(name) for name in SPLITS]), cell.split_seed
        parts = split(column(pool, "label"), params.data, seed)
        splits = {name: pool.select(indices, keep_in_memory=True) for name, indices in parts.items()}
    train = splits["train"]
    if cell.rows is not None:
        if cell.rows > len(train):
            raise UserError(
                f"study/params.yaml: {cell.group} asks for {cell.rows} training rows, but there are {len(train)}; lower it"
            )
        train = train.select(limited(column(train, "label"), cell.rows, seed), keep_in_memory=True)
    sets = {"test": splits["test"]} if cell.tested else {}
    if cell.transfer:
        sets |= {name: load(f"transfer_{name}") for name in load_transfer_names()}
    return Texts(train, splits["validation"], sets)


def digits(classes: np.ndarray, num_classes: int) -> str:
    """Return class indices (N,) as a string: a digit each, or numbers separated by spaces if there are more than ten classes."""
    return ("" if num_classes <= 10 else " ").join(map(str, classes.tolist()))


def classes_in(text: str, num_classes: int) -> np.ndarray:
    """Return the class indices (N,) that `digits` wrote."""
    return np.array(list(text) if num_classes <= 10 else text.split(), dtype=np.int64)
