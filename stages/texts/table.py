"""Tables of users: delimited text, JSON lines or Parquet, as the suffix of the file says."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from stages.project.errors import UserError
from stages.texts.csv_table import csv_rows
from stages.texts.encoding import opened, text_lines
from stages.texts.faults import Faults
from stages.texts.json_lines import json_rows
from stages.texts.options import Options

JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
FORMATS = {*JSON, *PARQUET, ".csv", ".tsv", ".tab", ".txt"}  # any other suffix is read as delimited text, too
OTHERS = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "a workbook; save the table as CSV UTF-8"),
    **dict.fromkeys((".gz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz"), "compressed; unpack it first"),
    **dict.fromkeys(
        (".arrow", ".feather", ".pkl", ".pickle", ".npy", ".orc", ".avro", ".sqlite", ".db"),
        "not a table that can be read here; save it as CSV, JSON lines or Parquet",
    ),
}


def check_suffix(path: Path) -> None:
    """Raise a `UserError` if the name of the file says that it is in none of the formats above."""
    if what := OTHERS.get(path.suffix.lower()):
        raise UserError(f"{path}: is {what}")


def table_rows(
    path: Path, columns: Sequence[str], faults: Faults, options: Options, rest: bool = False
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the line (in a Parquet file the row, from 1) and the values in `columns` of each row of the file at `path`.

    First come the names of the columns that are yielded. Values are strings or, in JSON and Parquet, of any type (None: missing).

    Args:
        rest: also yield all other columns, after `columns`.

    Raises:
        UserError: the file cannot be read as what its suffix says, or a column is missing or duplicated. What is wrong with
            single lines is noted in `faults`.
    """
    suffix = path.suffix.lower()
    if suffix in PARQUET:
        faults.unit = "row"
        yield from parquet_table(path, faults.name, columns, options, rest)
        return
    with opened(path, "run the stage fetch first") as stream:
        yield from stream_rows(stream, suffix, columns, faults, options, rest)


def stream_rows(
    stream: BinaryIO, suffix: str, columns: Sequence[str], faults: Faults, options: Options, rest: bool = False
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of a stream of JSON lines or delimited text, as `table_rows` does."""
    if suffix in JSON:
        yield from json_rows(text_lines(stream, faults, options, newline="\n"), columns, faults, options, rest)
    else:
        yield from csv_rows(text_lines(stream, faults, options), columns, faults, options, rest)


def parquet_table(
    path: Path, name: str, columns: Sequence[str], options: Options, rest: bool = False
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of a Parquet file, as `table_rows` does."""
    from stages.texts.parquet import parquet_rows  # loads a library that only such a file needs

    yield from parquet_rows(path, name, columns, options, rest)


def class_names(path: Path, name: str, column: str) -> list[str] | None:
    """Return the class names that a Parquet file declares for `column`, in order of class index, or None if there are none."""
    if path.suffix.lower() not in PARQUET:
        return None
    from stages.texts.parquet import declared_classes

    return declared_classes(path, name, column)
