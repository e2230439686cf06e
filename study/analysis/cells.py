"""The finished cells of the study: one JSON file each, with settings, scores and the predicted class of every test text."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.project.errors import UserError
from stages.project.files import read_json

NEEDED = ("cell", "series", "method", "condition", "seed", "rows", "learning_rate", "validation_f1")
SERIES = ("rates", "conditions", "splits", "rows", "dose", "targets", "crosscheck")


@dataclass(frozen=True)
class Cells:
    """The study as far as it is finished.

    Attributes:
        table: a row per finished cell, all keys of its file but the predictions.
        predictions: the predicted class (N,) of every test text, by cell; cells that were not tested are not in it.
        expected: every cell of the study and its series.
    """

    table: pd.DataFrame
    predictions: Mapping[str, np.ndarray]
    expected: Mapping[str, str]

    def count(self, series: str) -> tuple[int, int]:
        """Return how many cells of `series` are finished, and how many there are."""
        planned = {cell for cell, of in self.expected.items() if of == series}
        return len(planned & set(self.table["cell"])), len(planned)

    def complete(self, series: str) -> bool:
        """Whether `series` has cells and all are finished."""
        finished, planned = self.count(series)
        return 0 < finished == planned

    def settled(self, setting: str) -> bool:
        """Whether all cells whose names are `setting` and a seed are finished, and there are such cells."""
        planned = {cell for cell in self.expected if cell.rpartition("-")[0] == setting}
        return bool(planned) and planned <= set(self.table["cell"])

    def of(self, *series: str) -> pd.DataFrame:
        """Return the finished cells of `series` in the order of their names."""
        chosen = self.table["cell"].map(self.expected).isin(series)
        return self.table[chosen].sort_values("cell", ignore_index=True)


def read_cells(folder: Path, expected: Mapping[str, str]) -> Cells:
    """Read the files of all expected cells that are finished; files of other cells are left alone.

    Raises:
        UserError: a file lacks a key, is no JSON, or belongs to another cell.
    """
    rows, predictions = [], {}
    for path in sorted(folder.glob("*.json")):
        if path.stem not in expected:
            continue
        row = _read(path)
        text = row.pop("test_predictions", None)
        if text:
            predictions[row["cell"]] = decoded(text, path)
        rows.append(row)
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(NEEDED))
    return Cells(table, predictions, expected)


def _read(path: Path) -> dict:
    try:
        row = read_json(path)
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); delete it and run `make study CELL={path.stem}`") from None
    missing = [key for key in NEEDED if key not in row]
    if missing:
        raise UserError(f"{path}: without {', '.join(missing)}; delete it and run `make study CELL={path.stem}`")
    if row["cell"] != path.stem:
        raise UserError(f"{path}: belongs to the cell {row['cell']}; rename it to {row['cell']}.json or delete it")
    return row


def decoded(text: str, path: Path) -> np.ndarray:
    """Return the classes (N,) in `text`: a digit per text for up to ten classes, otherwise numbers with spaces between.

    Raises:
        UserError: there is something else in it.
    """
    parts = text.split() if " " in text else list(text)
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"{path}: test_predictions must hold classes as whole numbers, not {text[:40]!r}")
    return np.array(parts, dtype=np.int64)


def fingerprint(labels: np.ndarray, num_classes: int) -> str:
    """Return the SHA-256 by which a cell says which test set it predicted: that of the labels, written as its predictions are."""
    text = ("" if num_classes <= 10 else " ").join(map(str, labels.tolist()))
    return hashlib.sha256(text.encode()).hexdigest()
