"""Rows of a Parquet file, with the class names that the datasets library stores in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.project.errors import UserError
from stages.texts.columns import MissingColumn, find_columns, respelled
from stages.texts.options import Options

BATCH = 1000  # rows
INDEX = "__index_level_"  # a column in which pandas keeps the index of a table


def parquet_rows(
    path: Path, name: str, columns: Sequence[str], options: Options, rest: bool = False
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the number of a row, counted from 1, and its values in `columns`; first come the names of what is yielded.

    A class index of the datasets library is yielded as the name of its class, None if it marks a row without one (-1).

    Args:
        rest: also yield all other columns, after `columns`.

    Raises:
        UserError: not a Parquet file, or a column is missing or duplicated.
    """
    with _opened(path, name) as file:
        header = file.schema_arrow.names
        try:
            places = find_columns(header, columns)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        if places is None:
            raise MissingColumn(name, header, columns, options.advice)
        if told := respelled(header, columns, places):
            options.tell(f"{name}: {told}")
        others = [name for name in header if name not in {header[place] for place in places} and not name.startswith(INDEX)]
        wanted = [header[place] for place in places] + (others if rest else [])
        yield 1, [*columns, *wanted[len(columns) :]]
        classes = [_class_names(file.schema_arrow, name) for name in wanted]
        number = 0
        try:
            for batch in file.iter_batches(BATCH, columns=wanted):
                lists = [batch.column(name).to_pylist() for name in wanted]
                named = [values if names is None else _named(values, names) for values, names in zip(lists, classes, strict=True)]
                for row in zip(*named, strict=True):
                    number += 1
                    yield number, list(row)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UserError(f"{name}: damaged after row {number} ({_line(error)}); write it again") from None


def declared_classes(path: Path, name: str, column: str) -> list[str] | None:
    """Return the class names that the datasets library stored for `column`, in order of index, or None."""
    with _opened(path, name) as file:
        places = find_columns(file.schema_arrow.names, [column])
        return _class_names(file.schema_arrow, file.schema_arrow.names[places[0]]) if places else None


def _opened(path: Path, name: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{name}: not a Parquet file ({_line(error)}); give it the suffix of what it is") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _class_names(schema: pa.Schema, column: str) -> list[str] | None:
    if b"huggingface" not in (schema.metadata or {}):
        return None
    from datasets import ClassLabel, Features  # takes seconds to import, and only such a file needs it

    try:
        feature = Features.from_arrow_schema(schema).get(column)
    except (ValueError, KeyError, TypeError):  # of a version of the library that this one cannot read
        return None
    return [name.strip() for name in feature.names] if isinstance(feature, ClassLabel) else None


def _named(values: list[int | None], names: list[str]) -> list[str | int | None]:
    return [None if value is None or value == -1 else names[value] if 0 <= value < len(names) else value for value in values]
