"""The user's own texts: rows of one file, or of one file per split, with common classes.

For the source csv, data/raw has reviews.csv, or train.csv, validation.csv and test.csv; for the source hub the last three as
Arrow streams, which keep every text exactly (line ends, NUL, quotes) and give equal bytes for equal rows. Only train is
required: a missing split is cut from it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stages.classifier.splits import SPLITS
from stages.prepare.labels import check_labels
from stages.prepare.rows import Row
from stages.prepare.store import StoredRows
from stages.prepare.user_csv import Record, read_csv
from stages.project.errors import UserError
from stages.project.schema import DataParams
from stages.texts.normal_form import normalise

CSV_FILE = "reviews.csv"


class Given(NamedTuple):
    """The rows, the given splits (always with train), and the class names; a label is an index into these."""

    rows: StoredRows
    splits: tuple[str, ...]
    names: list[str]


def read_given(folder: Path, params: DataParams, store: Path) -> Given:
    """Read the rows that `fetch` left in `folder` for the source csv or hub, train first, then validation, then test.

    Class names are those that occur in any split, in the order that a data set of the Hub declares; if it declares none, they
    are sorted numerically if all are integers, else by code point.

    Args:
        store: the file to store the texts in.

    Raises:
        UserError: as `read_csv`; a file is missing or has no rows, no row is for train, there is only one class, or so many
            that the column cannot be that of the labels.
    """
    files = csv_files(folder, params) if params.source == "csv" else arrow_files(folder)
    declared = None if params.source == "csv" else declared_names(files["train"])
    index: dict[str, int] = {}  # in order of first occurrence
    found: set[str] = set()
    rows = StoredRows(store, _rows(files, params, index, found))
    names = (
        sort_labels(set(index))
        if declared is None
        else [name for name in dict.fromkeys(map(normalise, declared)) if name in index]
    )
    key, column = f"data.{params.source}.label_column", getattr(params, params.source).label_column
    check_labels(files["train"], key, column, names, rows.read, len(np.unique(rows.keys)))
    if "train" not in found:
        raise UserError(f"{files['train']}: no row has train in column {params.csv.split_column!r}; some must, all methods train")
    position = {name: i for i, name in enumerate(names)}
    rows.labels = np.array([position[name] for name in index], dtype=np.int64)[rows.labels]
    return Given(rows, tuple(name for name in SPLITS if name in found), names)


def _rows(files: dict[str, Path], params: DataParams, index: dict[str, int], found: set[str]) -> Iterator[Row]:
    """Yield the rows of all files; a label is its number in `index`, which grows; `found` collects the splits."""
    for split, path in files.items():
        count = 0
        for record in read_csv(path, params.csv) if params.source == "csv" else read_arrow(path):
            count += 1
            found.add(record.split or split)
            yield Row(record.text, index.setdefault(normalise(record.label), len(index)), record.split or split)
        if not count and len(files) > 1:
            instead = "all methods train on them" if split == "train" else f"or remove the file, then {split} is cut from train"
            raise UserError(f"{path}: has no rows; add some, {instead}")


def csv_files(folder: Path, params: DataParams) -> dict[str, Path]:
    """The files of source csv by split; a single file is listed as train, whatever splits its rows name."""
    files = {name: folder / f"{name}.csv" for name in SPLITS if (folder / f"{name}.csv").is_file()}
    if "train" not in files:
        return {"train": folder / CSV_FILE}
    if params.csv.split_column is not None:
        raise UserError(
            f"data.csv.split_column: {params.csv.split_column!r}, but data.csv.path ({params.csv.path}) is a folder, whose file "
            "names say which split a row is for; set split_column to null, or path to one file"
        )
    return files


def arrow_files(folder: Path) -> dict[str, Path]:
    """The files of source hub by split."""
    files = {name: folder / f"{name}.arrow" for name in SPLITS if (folder / f"{name}.arrow").is_file()}
    if "train" not in files:
        raise UserError(f"{folder / 'train.arrow'}: no such file; run the stage fetch first")
    return files


def read_arrow(path: Path) -> Iterator[Record]:
    """Yield the rows of a stream that `fetch` wrote: columns text, and label as a string."""
    with _opened(path) as reader:
        for batch in reader:
            yield from map(Record, batch["text"].to_pylist(), batch["label"].to_pylist())


def declared_names(path: Path) -> list[str] | None:
    """The class names in the order that the data set of the Hub declares, or None if it declares none."""
    with _opened(path) as reader:
        if not pa.types.is_dictionary(reader.schema.field("label").type):
            return None
        return next(iter(reader))["label"].dictionary.to_pylist()


@contextmanager
def _opened(path: Path) -> Iterator[pa.RecordBatchReader]:
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
            yield reader
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a table of texts and labels ({error}); run the stage fetch again") from None


def sort_labels(names: set[str]) -> list[str]:
    """Return class names in numerical order if all are integers ("2" before "10"), else by code point."""
    if all(re.fullmatch(r"[+-]?[0-9]{1,1000}", name) for name in names):  # int() refuses several thousand digits
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
