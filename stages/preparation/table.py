"""Read the user's own texts and labels from a CSV file, row by row."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from stages.config.schema import CsvParams
from stages.errors import UserError
from stages.preparation.rows import check_text

ADVICE = "set data.csv.text_column, data.csv.label_column and, if there is one, data.csv.split_column to some of them"
DELIMITERS = (";", "\t", "|")
LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit of 131,072 would refuse long texts, which are truncated anyway
SPLIT_VALUES = {name: name for name in ("train", "validation", "test")} | dict.fromkeys(("valid", "val", "dev"), "validation")


class Record(NamedTuple):
    """A text, the name of its class, and the split it is meant for, None if the row does not say."""

    text: str
    label: str
    split: str | None = None


def read_csv(path: Path, params: CsvParams) -> Iterator[Record]:
    """Yield the rows of a comma-separated file with a header line.

    Every field is text: `NA`, `null` and `007` stay what they are. Labels and splits are stripped of surrounding space; a
    split is train, validation (or valid, val, dev) or test, in any case. Line numbers in messages are those on which a row
    begins.

    Raises:
        UserError: the file is not UTF-8, a column is missing or stands twice, a row has too few or too many fields, a text, a
            label or a split is missing, or a split is none of those above.
    """
    columns = [name for name in (params.text_column, params.label_column, params.split_column) if name is not None]
    for line, (text, label, *split) in _fields(path, columns):
        for column, value in zip(columns, (text, label, *split), strict=True):
            if not value.strip():
                raise UserError(f"{path}: line {line} has nothing in column {column!r}; fill it in or remove the row")
        yield Record(text, label.strip(), _split(path, line, params.split_column, split[0]) if split else None)


def _split(path: Path, line: int, column: str, value: str) -> str:
    try:
        return SPLIT_VALUES[value.strip().lower()]
    except KeyError:
        raise UserError(
            f"{path}: line {line} has {short(value)} in column {column!r}; train, validation (or valid, val, dev) or test "
            "was expected"
        ) from None


def _fields(path: Path, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    check_text(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv_fields(file, str(path), columns, ADVICE)


def csv_fields(lines: Iterable[str], name: str, columns: list[str], advice: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a row begins and its fields in `columns`; the first row is the header.

    Args:
        name: of the file, for messages.
        advice: what to do if a column is missing.

    Raises:
        UserError: a column is missing or stands twice, a row has too few or too many fields, or it is no valid CSV.
    """
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        header = next(reader, [])
        positions = [_position(name, header, column, advice) for column in columns]
        line = reader.line_num + 1
        for fields in reader:
            if fields:
                if len(fields) != len(header):
                    raise UserError(
                        f"{name}: line {line} has {len(fields)} fields, the header has {len(header)}; "
                        "put double quotes around a text that contains commas"
                    )
                yield line, [fields[position] for position in positions]
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{name}: the row that begins in line {line} is no valid CSV: {error}") from None


def _position(name: str, header: list[str], column: str, advice: str) -> int:
    """The index of `column` in the header line."""
    if header.count(column) == 1:
        return header.index(column)
    if column in header:
        raise UserError(f"{name}: {header.count(column)} columns are called {column!r}; give each a name of its own")
    shown = f"[{', '.join(map(short, header[:20]))}{', ...' if len(header) > 20 else ''}]"
    delimiter = next((sign for sign in DELIMITERS if len(header) == 1 and sign in header[0]), None)
    if delimiter:
        advice = f"its fields seem to be separated by {delimiter!r}, save it with commas"
    raise UserError(f"{name}: no column {column!r}; the columns are {shown}; {advice}")


def short(text: str) -> str:
    """`text` in quotes, cut after 40 characters."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
