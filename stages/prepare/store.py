"""Rows on disk, so that a file may have any length: memory has only what decides which rows are kept.

That is 17 bytes per row: 8 for the label, 1 for the split and 8 for the text; more while the arrays are built or chosen from.
"""

from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from stages.classifier.splits import SPLITS
from stages.prepare.rows import Row
from stages.texts.normal_form import identity, normalise

BATCH = 1000  # rows read or written at a time
SCHEMA = pa.schema([("text", pa.string())])


class StoredRows:
    """N normalised texts in an Arrow stream at `path`: those that have a label and are not empty.

    Attributes:
        labels: class indices, shape (N,), int64.
        places: positions in `SPLITS` of the splits that the rows were given for, shape (N,), int8.
        keys: 64-bit digests of the texts' identities, shape (N,), uint64: among a million different texts, two share
            one with a probability of 3e-8.
        dropped: number of rows left out, by rule: "empty" and "near_tie" (no label).
        read: number of rows read.
    """

    def __init__(self, path: Path, rows: Iterable[Row]):
        self.path = path
        self.read = 0
        self.dropped = {"empty": 0, "near_tie": 0}
        labels, places, keys = array("q"), array("b"), array("Q")
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as writer:
            for batch in _batches(self._wanted(rows)):
                labels.extend(row.label for row in batch)
                places.extend(SPLITS.index(row.split) for row in batch)
                keys.extend(key(row.text) for row in batch)
                writer.write_batch(pa.record_batch([pa.array([row.text for row in batch], pa.string())], schema=SCHEMA))
        self.labels = np.array(labels, dtype=np.int64)
        self.places = np.array(places, dtype=np.int8)
        self.keys = np.array(keys, dtype=np.uint64)

    def _wanted(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.read += 1
            text = normalise(row.text)
            if not text:
                self.dropped["empty"] += 1
            elif row.label is None:
                self.dropped["near_tie"] += 1
            else:
                yield row if text == row.text else row._replace(text=text)

    def texts(self, indices: np.ndarray) -> Iterator[list[str]]:
        """Yield the texts of the rows `indices`, in ascending order, as lists of `BATCH` (the last may be shorter)."""
        yield from _batches(self._texts(indices))

    def _texts(self, indices: np.ndarray) -> Iterator[str]:
        start = 0
        # read, not mapped: pages of a mapped file count as memory of the process
        with pa.OSFile(str(self.path)) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                first, last = np.searchsorted(indices, (start, start + len(batch)))
                yield from batch["text"].take(pa.array(indices[first:last] - start)).to_pylist()
                start += len(batch)


def key(text: str) -> int:
    """A digest of the identity of a text, equal for texts that count as the same."""
    return int.from_bytes(blake2b(identity(text).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _batches(items: Iterable) -> Iterator[list]:
    items = iter(items)
    while batch := list(islice(items, BATCH)):
        yield batch
