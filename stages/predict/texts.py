"""Read the texts to classify, one by one, from a file of lines, a column of a table, or standard input."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from stages.project.errors import UserError
from stages.texts.encoding import opened, text_lines
from stages.texts.faults import Faults
from stages.texts.options import Options
from stages.texts.table import JSON, PARQUET, check_suffix, parquet_table, stream_rows

OPTIONS = Options(prefix="--", advice="name one of them with --text-column")
TABLES = (".csv", ".tsv", ".tab", *JSON, *PARQUET)
FILE_ADVICE = "give the path of a file of texts, one per line, or of a table"
EMPTY_ADVICE = "there is no text to classify; fill it in, remove the line, or leave out such lines with --missing=drop"


@dataclass(frozen=True)
class Wanted:
    """What to take of the input.

    Attributes:
        column: that of the texts; None: each line is a text.
        keep: columns whose values go into the output; their names may differ in white space from those of the file.
        keep_all: whether all other columns do, too.
        drop: leave out rows without a text, instead of refusing them.
        options: how a text file is read.
    """

    column: str | None = None
    keep: tuple[str, ...] = ()
    keep_all: bool = False
    drop: bool = False
    options: Options = OPTIONS


class Text(NamedTuple):
    """A text, and the values of the columns that go into the output with it."""

    text: str
    kept: Sequence[Any] = ()


class Texts(NamedTuple):
    """The texts, the names of the kept columns, and the number of texts if it is known."""

    rows: Iterator[Text]
    names: Sequence[str] = ()
    total: int | None = None


@contextmanager
def texts_of_file(path: Path, wanted: Wanted) -> Iterator[Texts]:
    """Yield the texts in the file at `path`: its lines, or a column of a table in any format that training reads.

    The file is read and checked to its end first, so that all its faults show at once and not after an hour of work. A pipe can
    be read only once; its number is None.

    Raises:
        UserError: the file is missing or cannot be opened, it is a table and no column is named, or `texts_of_stream` refuses it.
    """
    check_suffix(path)
    if wanted.column is None and path.suffix.lower() in TABLES:
        raise UserError(f"{path}: which column contains the texts? name it with --text-column")
    with opened(path, FILE_ADVICE) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            yield texts_of_stream(stream, str(path), wanted)
            return
        total = sum(1 for _ in _texts_of_path(path, stream, wanted, patient=True).rows)
        stream.seek(0)
        quiet = replace(wanted, options=replace(wanted.options, tell=lambda text: None))
        yield _texts_of_path(path, stream, quiet, patient=False)._replace(total=total)


def _texts_of_path(path: Path, stream: BinaryIO, wanted: Wanted, patient: bool) -> Texts:
    if wanted.column is None or path.suffix.lower() not in PARQUET:
        return texts_of_stream(stream, str(path), wanted, path.suffix.lower(), patient)
    table = parquet_table(path, str(path), [wanted.column, *wanted.keep], wanted.options, wanted.keep_all)
    return _texts(table, wanted, Faults(str(path), "row"), patient)


def texts_of_stream(stream: BinaryIO, name: str, wanted: Wanted, suffix: str = "", patient: bool = False) -> Texts:
    """Return the texts in `stream`: its lines without their ends, or one column of a table.

    Args:
        name: name of the stream in messages.
        suffix: of JSON lines; any other is that of delimited text.
        patient: read to the end before the first fault ends it, so that the message lists all.

    Raises:
        UserError: here or while the rows are read: what `stages.texts` refuses, an empty or blank text, or no text at all.
    """
    faults = Faults(name)
    if wanted.column is not None:
        columns = [wanted.column, *wanted.keep]
        return _texts(stream_rows(stream, suffix, columns, faults, wanted.options, wanted.keep_all), wanted, faults, patient)
    lines = text_lines(stream, faults, wanted.options, newline="\n")
    numbered = enumerate((line.removesuffix("\n").removesuffix("\r") for line in lines), start=1)
    return _texts(chain([(1, [""])], ((line, [text]) for line, text in numbered)), wanted, faults, patient)


def _texts(table: Iterator[tuple[int, list[Any]]], wanted: Wanted, faults: Faults, patient: bool) -> Texts:
    _, header = next(table, (1, [""]))  # nothing if no row can be read
    return Texts(_rows(table, wanted, faults, patient), header[1:])


def _rows(table: Iterator[tuple[int, list[Any]]], wanted: Wanted, faults: Faults, patient: bool) -> Iterator[Text]:
    found, dropped = False, 0
    place = "" if wanted.column is None else f" in column {wanted.column!r}"
    for line, (text, *kept) in table:
        if isinstance(text, str) and text.strip():
            found = True
        elif text is not None and text == text and not isinstance(text, str):
            faults.add(line, f"has a value of type {type(text).__name__}{place}, not a string", "name a column of strings")
        elif wanted.drop:
            dropped += 1
            continue
        else:
            faults.add(line, f"is empty{place}", EMPTY_ADVICE)
        if not patient:
            faults.check()
        yield Text(text, kept)
    faults.check()
    if not found:
        raise UserError(f"{faults.name}: contains no text" + (" below the header line" if wanted.column is not None else ""))
    if dropped:
        wanted.options.tell(f"{faults.name}: left out {dropped:,} {faults.unit}s without text (--missing=drop)")


def checked_arguments(texts: Iterable[str]) -> list[str]:
    """Return the texts given on the command line.

    Raises:
        UserError: one is empty, or contains bytes that are not UTF-8.
    """
    texts = list(texts)
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise UserError(f"text {number} of the command line is empty; leave it out")
        try:
            text.encode()
        except UnicodeEncodeError:  # Python keeps such bytes as lone surrogates
            raise UserError(f"text {number} of the command line, {text!r}, is not UTF-8; give it in UTF-8") from None
    return texts
