"""Read the user's own texts and labels from a CSV file."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from stages.config.schema import CsvParams
from stages.errors import UserError
from stages.preparation.rows import Row, read_text

CSV_FILE = "reviews.csv"
DELIMITERS = (";", "\t", "|")
MANY_CLASSES = 20
LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit of 131,072 would refuse long texts, which are truncated anyway


def read_table(path: Path, params: CsvParams) -> tuple[list[Row], list[str]]:
    """Return the rows of a comma-separated file with a header line, and the sorted class names.

    Every field is text: `NA`, `null` and `007` stay what they are. Labels are stripped of surrounding space and sorted
    numerically if all are integers, else by code point; a row's label is its position in that order. Line numbers in
    messages are those on which a row begins.

    Raises:
        UserError: a column is missing or stands twice, a row has too few or too many fields, a text or a label is missing,
            there is only one class, or so many that the column must be another one.
    """
    texts, labels = [], []
    for line, text, label in _records(path, params):
        for column, value in ((params.text_column, text), (params.label_column, label)):
            if not value.strip():
                raise UserError(f"{path}: line {line} has nothing in column {column!r}; fill it in or remove the row")
        texts.append(text)
        labels.append(label.strip())
    names = sort_labels(set(labels))
    _check_classes(path, params.label_column, names, len(labels))
    index = {name: i for i, name in enumerate(names)}
    return [Row(text, index[label]) for text, label in zip(texts, labels, strict=True)], names


def _check_classes(path: Path, column: str, names: list[str], rows: int) -> None:
    if len(names) < 2:
        raise UserError(f"{path}: column {column!r} holds {names or 'no labels'}; two classes or more are needed")
    # three rows a class is the least that three splits can share
    if len(names) > MANY_CLASSES and rows < 3 * len(names):
        raise UserError(
            f"{path}: column {column!r} holds {len(names):,} different values in {rows:,} rows, such as "
            f"{', '.join(map(_short, names[:3]))}: that looks like an identifier, not a class; set data.csv.label_column"
        )


def sort_labels(names: set[str]) -> list[str]:
    """Return class names in numerical order if all are integers ("2" before "10"), else by code point."""
    if all(re.fullmatch(r"[+-]?[0-9]+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _records(path: Path, params: CsvParams) -> Iterator[tuple[int, str, str]]:
    """Yield the line on which a row begins, its text and its label."""
    csv.field_size_limit(LONGEST_FIELD)
    content = read_text(path)
    if "\0" in content:
        line = content.count("\n", 0, content.index("\0")) + 1
        raise UserError(f"{path}: line {line} holds a NUL character, which no text file has; save it as CSV in UTF-8")
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        text, label = (_position(path, header, name) for name in (params.text_column, params.label_column))
        line = reader.line_num + 1
        for fields in reader:
            if fields:
                if len(fields) != len(header):
                    raise UserError(
                        f"{path}: line {line} has {len(fields)} fields, the header has {len(header)}; "
                        "put double quotes around a text that contains commas"
                    )
                yield line, fields[text], fields[label]
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}: the row that begins in line {line} is no valid CSV: {error}") from None


def _position(path: Path, header: list[str], name: str) -> int:
    """The index of column `name` in the header line."""
    if header.count(name) == 1:
        return header.index(name)
    if name in header:
        raise UserError(f"{path}: {header.count(name)} columns are called {name!r}; give each a name of its own")
    shown = f"[{', '.join(map(_short, header[:20]))}{', ...' if len(header) > 20 else ''}]"
    delimiter = next((sign for sign in DELIMITERS if len(header) == 1 and sign in header[0]), None)
    if delimiter:
        advice = f"its fields seem to be separated by {delimiter!r}, save it with commas"
    else:
        advice = "set data.csv.text_column and data.csv.label_column to two of them"
    raise UserError(f"{path}: no column {name!r}; the columns are {shown}; {advice}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
