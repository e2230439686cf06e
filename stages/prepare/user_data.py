"""The user's own texts: rows of one file, or of one file per split, with common classes.

For the source csv, data/fetched has copies of the user's files, in their own format; for the source hub train, validation
and test as Arrow streams, which keep every text exactly (line ends, NUL, quotes) and give equal bytes for equal rows. Only
train is required: a missing split is cut from it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from stages.classifier.splits import SPLITS
from stages.prepare.labels import check_labels
from stages.prepare.rows import Row
from stages.prepare.store import StoredRows
from stages.prepare.user_files import user_files
from stages.prepare.user_table import NO_LABELS, Record, UserTable
from stages.project.errors import UserError
from stages.project.schema import DataParams
from stages.texts.normal_form import normalise
from stages.texts.table import class_names


class Given(NamedTuple):
    """The rows, the given splits (always with train), and the class names; a label is an index into these."""

    rows: StoredRows
    splits: tuple[str, ...]
    names: list[str]


class Source(Protocol):
    """One file of rows; `name` is what its owner calls it, `missing` the rows left out because a value is missing."""

    name: str
    missing: int

    def rows(self) -> Iterator[Record]: ...


def read_given(folder: Path, params: DataParams, store: Path) -> Given:
    """Read the rows that `fetch` left in `folder` for the source csv or hub, train first, then validation, then test.

    Class names are those that occur in any split, in the order that the data set declares (one of the Hub, or a Parquet file
    written with the datasets library); if it declares none, they are sorted numerically if all are integers, else by code
    point. Rows that `data.csv.missing` leaves out are counted as read and dropped.

    Args:
        store: the file to store the texts in.

    Raises:
        UserError: as `UserTable`; a file is missing or has no rows, no row is for train, a given split has no labels, there is
            only one class, or so many that the column cannot be that of the labels.
    """
    files, declared = open_sources(folder, params)
    index: dict[str, int] = {}  # in order of first occurrence
    found: dict[str, set[str]] = {}
    rows = StoredRows(store, _rows(files, index, found))
    if params.source == "csv":
        rows.dropped["missing"] = sum(source.missing for source in files.values())
        rows.read += rows.dropped["missing"]
    names = (
        sort_labels(set(index))
        if declared is None
        else [name for name in dict.fromkeys(map(normalise, declared)) if name in index]
    )
    key, column = f"data.{params.source}.label_column", getattr(params, params.source).label_column
    train = files["train"].name
    check_labels(Path(train), key, column, names, rows.read, len(np.unique(rows.keys)))
    if "train" not in found:
        raise UserError(f"{train}: no row has train in column {params.csv.split_column!r}; some must, all methods train on them")
    _check_labelled(found, files)
    position = {name: i for i, name in enumerate(names)}
    rows.labels = np.array([position[name] for name in index], dtype=np.int64)[rows.labels]
    return Given(rows, tuple(name for name in SPLITS if name in found), names)


def open_sources(folder: Path, params: DataParams) -> tuple[dict[str, Source], list[str] | None]:
    """Return the files by split, and the class names that the data set declares, if it declares any."""
    if params.source == "hub":
        streams: dict[str, Source] = {split: ArrowStream(path) for split, path in arrow_files(folder).items()}
        return streams, declared_names(Path(streams["train"].name))
    files = user_files(folder, params.csv)
    tables: dict[str, Source] = {split: UserTable(path, name, split, params.csv) for split, (path, name) in files.items()}
    return tables, class_names(*files["train"], params.csv.label_column)


def _rows(files: Mapping[str, Source], index: dict[str, int], found: dict[str, set[str]]) -> Iterator[Row]:
    """Yield the rows of all files; a label is its number in `index`, which grows; `found` collects the labels of each split."""
    for split, source in files.items():
        count = 0
        for record in source.rows():
            count += 1
            label = normalise(record.label)
            found.setdefault(record.split or split, set()).add(label)
            yield Row(record.text, index.setdefault(label, len(index)), record.split or split)
        if not count and len(files) > 1:
            instead = "all methods train on them" if split == "train" else f"or remove the file, then {split} is cut from train"
            raise UserError(f"{source.name}: has no rows; add some, {instead}")


def _check_labelled(found: Mapping[str, set[str]], files: Mapping[str, Source]) -> None:
    """Refuse a given split in which every row has one label that train does not know, such as -1: that marks a missing one."""
    for split, labels in found.items():
        if split != "train" and len(labels) == 1 and not labels & found["train"]:
            name = files.get(split, files["train"]).name
            raise UserError(f"{name}: all rows for {split} have the label {min(labels)!r}, which train has not; {NO_LABELS}")


def arrow_files(folder: Path) -> dict[str, Path]:
    """The files of source hub by split."""
    files = {name: folder / f"{name}.arrow" for name in SPLITS if (folder / f"{name}.arrow").is_file()}
    if "train" not in files:
        raise UserError(f"{folder / 'train.arrow'}: no such file; run the stage fetch first")
    return files


class ArrowStream:
    """A stream that `fetch` wrote: columns text, and label as a string."""

    missing = 0

    def __init__(self, path: Path):
        self.name = str(path)

    def rows(self) -> Iterator[Record]:
        with _opened(Path(self.name)) as reader:
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
