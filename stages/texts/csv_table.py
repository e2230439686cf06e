"""Rows of a comma-separated file, one by one, with the line on which each begins."""

import csv
from collections.abc import Iterable, Iterator

from stages.project.errors import UserError

DELIMITERS = (";", "\t", "|")
LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit of 131,072 would refuse long texts, which are truncated anyway


def csv_fields(lines: Iterable[str], name: str, columns: list[str], advice: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a row begins and its fields in `columns`; the first row is the header.

    Args:
        name: of the file, for messages.
        advice: what to do if a column is missing, for messages.

    Raises:
        UserError: a column is missing or duplicated, a row has too few or too many fields, or is not valid CSV.
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
        raise UserError(f"{name}: the row that begins in line {line} is not valid CSV: {error}") from None


def _position(name: str, header: list[str], column: str, advice: str) -> int:
    """Return the index of `column` in the header."""
    if header.count(column) == 1:
        return header.index(column)
    if column in header:
        raise UserError(f"{name}: {header.count(column)} columns are called {column!r}; give each a different name")
    shown = f"[{', '.join(map(short, header[:20]))}{', ...' if len(header) > 20 else ''}]"
    delimiter = next((sign for sign in DELIMITERS if len(header) == 1 and sign in header[0]), None)
    if delimiter:
        advice = f"its fields seem to be separated by {delimiter!r}, save it with commas"
    raise UserError(f"{name}: no column {column!r}; the columns are {shown}; {advice}")


def short(text: str) -> str:
    """Return `text` in quotes, cut after 40 characters."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
