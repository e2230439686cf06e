"""Read the user's own texts and labels from a CSV file, row by row."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages.project.errors import UserError
from stages.project.schema import CsvParams
from stages.texts.csv_table import csv_fields, short
from stages.texts.encoding import check_text

ADVICE = "set data.csv.text_column, data.csv.label_column and, if there is one, data.csv.split_column to some of them"
SPLIT_VALUES = {name: name for name in ("train", "validation", "test")} | dict.fromkeys(("valid", "val", "dev"), "validation")


class Record(NamedTuple):
    """A text, the name of its class, and the split that it is given for, None if the row names none."""

    text: str
    label: str
    split: str | None = None


def read_csv(path: Path, params: CsvParams) -> Iterator[Record]:
    """Yield the rows of a comma-separated file with a header line.

    Every field is text: `NA`, `null` and `007` are kept as written. Labels and splits are stripped of surrounding space; a
    split is train, validation (or valid, val, dev) or test, in upper or lower case. Messages give the line on which
    a row begins.

    Raises:
        UserError: the file is not UTF-8, a column is missing or duplicated, a row has too few or too many fields, a text, a
            label or a split is missing, or a split is not one of those above.
    """
    columns = [name for name in (params.text_column, params.label_column, params.split_column) if name is not None]
    for line, (text, label, *split) in _fields(path, columns):
        for column, value in zip(columns, (text, label, *split), strict=True):
            if not value.strip():
                raise UserError(f"{path}: line {line} has nothing in column {column!r}; fill it in or remove the row")
        yield Record(text, label.strip(), _split(path, line, columns[2], split[0]) if split else None)


def _split(path: Path, line: int, column: str, value: str) -> str:
    try:
        return SPLIT_VALUES[value.strip().lower()]
    except KeyError:
        raise UserError(
            f"{path}: line {line} has {short(value)} in column {column!r}; "
            "expected train, validation (or valid, val, dev) or test"
        ) from None


def _fields(path: Path, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    check_text(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv_fields(file, str(path), columns, ADVICE)
