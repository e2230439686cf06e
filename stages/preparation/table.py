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


def read_table(path: Path, params: CsvParams) -> tuple[list[Row], list[str]]:
    """Return the rows of a comma-separated file with a header line, and the sorted class names.

    Every field is text: `NA`, `null` and `007` stay what they are. Labels are stripped of surrounding space and sorted
    numerically if all are integers, else by code point; a row's label is its position in that order.

    Raises:
        UserError: a column is missing, a row has too few or too many fields, a text or a label is missing, or there is
            only one class.
    """
    texts, labels = [], []
    for line, text, label in _records(path, params):
        for column, value in ((params.text_column, text), (params.label_column, label)):
            if not value.strip():
                raise UserError(f"{path}: line {line} has nothing in column {column!r}; fill it in or remove the row")
        texts.append(text)
        labels.append(label.strip())
    names = sort_labels(set(labels))
    if len(names) < 2:
        raise UserError(f"{path}: column {params.label_column!r} holds {names or 'no labels'}; two classes or more are needed")
    index = {name: i for i, name in enumerate(names)}
    return [Row(text, index[label]) for text, label in zip(texts, labels, strict=True)], names


def sort_labels(names: set[str]) -> list[str]:
    """Return class names in numerical order if all are integers ("2" before "10"), else by code point."""
    if all(re.fullmatch(r"[+-]?[0-9]+", name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _records(path: Path, params: CsvParams) -> Iterator[tuple[int, str, str]]:
    """Yield the line on which a row ends, its text and its label."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        text, label = (_position(path, header, name) for name in (params.text_column, params.label_column))
        for fields in filter(None, reader):
            if len(fields) != len(header):
                raise UserError(
                    f"{path}: line {reader.line_num} has {len(fields)} fields, the header has {len(header)}; "
                    "put double quotes around a text that contains commas"
                )
            yield reader.line_num, fields[text], fields[label]
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num} is no valid CSV: {error}") from None


def _position(path: Path, header: list[str], name: str) -> int:
    if name not in header:
        raise UserError(f"{path}: no column {name!r}; the columns are {header}; set data.csv.text_column and label_column")
    return header.index(name)
