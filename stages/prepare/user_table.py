"""Read the user's own texts and labels from a table, row by row."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from stages.project.errors import UserError
from stages.project.schema import CsvParams
from stages.texts.columns import MissingColumn, short
from stages.texts.faults import Faults
from stages.texts.options import Options
from stages.texts.split_words import EXPECTED, split_of
from stages.texts.table import table_rows

WHOLE = 2**53  # up to here a float says which whole number it is
MISSING = "fill it in, remove the row, or set data.csv.missing=drop to leave out such rows"
NO_LABELS = (
    "a test set without labels cannot be scored; leave it out here, and classify it with `python -m stages.predict --file`"
)


class Record(NamedTuple):
    """A text, the name of its class, and the split that it is given for, None if the row names none."""

    text: str
    label: str
    split: str | None = None


class UserTable:
    """The rows of one file.

    Every field of a text file is text: `NA`, `null` and `007` are kept as written. Labels and splits are stripped of surrounding
    space; a split is train, validation (or valid, val, dev) or test, in upper or lower case. In JSON and Parquet a text is a
    string, and a label a string, a whole number (in whatever type), a fraction, true or false; null and NaN are missing.

    Args:
        path: of the copy that is read; its suffix says what it is.
        name: of the user's own file, for messages.
        split: the one that the file is given for.

    Attributes:
        missing: number of rows left out because a value is missing, if `params.missing` is drop.
    """

    def __init__(self, path: Path, name: str, split: str, params: CsvParams):
        self.path, self.name, self.split, self.params = path, name, split, params
        self.faults, self.missing = Faults(name), 0

    def rows(self) -> Iterator[Record]:
        """Yield the rows, from the first to the last.

        Raises:
            UserError: after the last row, with all faulty lines in one message: a row has too few or too many fields, bytes
                cannot be decoded, a text, a label or a split is missing, or a split is unknown. At once: the file cannot be
                read at all, or a column is missing or duplicated.
        """
        params = self.params
        columns = [name for name in (params.text_column, params.label_column, params.split_column) if name is not None]
        read: Counter[str] = Counter()  # by split
        labelled: Counter[str] = Counter()
        dropped = Faults(self.name)
        for line, values in self._table(columns, Options(params.delimiter, params.encoding, params.quotes)):
            record = self._record(line, columns, values)
            if record is None:
                continue
            split = record.split or self.split
            read[split] += 1
            labelled[split] += bool(record.label)
            empty = next((column for column, field in zip(columns, record, strict=False) if not (field or "").strip()), None)
            if empty is None:
                yield record
                continue
            self.missing += params.missing == "drop"
            (dropped if params.missing == "drop" else self.faults).add(line, f"has nothing in column {empty!r}", MISSING)
        for split in ("validation", "test"):
            if read[split] and not labelled[split]:
                raise UserError(f"{self.name}: no row for {split} has a label in column {params.label_column!r}; {NO_LABELS}")
        self.faults.check()
        if self.missing:
            print(f"{dropped.summary()}; left out {self.missing:,} of {read.total():,} rows (data.csv.missing: drop)")

    def _table(self, columns: list[str], options: Options) -> Iterator[tuple[int, list[Any]]]:
        table = table_rows(self.path, columns, self.faults, options)
        try:
            yield from islice(table, 1, None)  # the first has the names of the columns
        except MissingColumn as error:
            if self.split == "train" or error.column != self.params.label_column:
                raise
            raise UserError(f"{error}. If the rows have no labels: {NO_LABELS}") from None

    def _record(self, line: int, columns: list[str], values: list[Any]) -> Record | None:
        """Return a row with "" for what is missing, or None if it has a fault other than that."""
        fields: list[str] = []
        for column, value in zip(columns, values, strict=True):
            field = value if isinstance(value, str) else _as_text(value, number=bool(fields))
            if field is None:
                expected = "a string or a number" if fields else "a string"
                what = f"has a value of type {type(value).__name__} in column {column!r}, not {expected}"
                self.faults.add(line, what, "name another column, or write it differently")
                return None
            fields.append(field.strip() if fields else field)
        if len(fields) == 3 and fields[2]:
            split = split_of(fields[2])
            if split is None:
                self.faults.add(line, f"has {short(fields[2])} in column {columns[2]!r}", f"expected {EXPECTED}")
                return None
            fields[2] = split
        return Record(*fields)


def _as_text(value: Any, number: bool) -> str | None:
    """Return a value of JSON or Parquet as text, "" if it is missing, or None if it is no text (with `number`: and no number)."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not number or not isinstance(value, bool | int | float):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    # pandas stores whole numbers as floats if some are missing
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE else str(value)
