"""Read the texts to classify, one by one, from a file of lines, a column of a CSV file, or standard input."""

import codecs
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from os import fstat
from pathlib import Path
from typing import BinaryIO

from stages.project.errors import UserError
from stages.texts.csv_table import csv_fields


@contextmanager
def texts_of_file(path: Path, column: str | None) -> Iterator[tuple[Iterator[str], int | None]]:
    """Yield the texts in the file at `path`, as `read_texts` does, and their number.

    The file is read and checked to its end first, so that a fault in its last line shows at once and not after an hour of work.
    A pipe can be read only once; its number is None.

    Raises:
        UserError: the file is missing or cannot be opened, or `read_texts` refuses it.
    """
    advice = "give the path of a file of texts, one per line, or of a CSV file"
    try:
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; {advice}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; {advice}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    with stream:
        total = None
        if stat.S_ISREG(fstat(stream.fileno()).st_mode):
            total = sum(1 for _ in read_texts(stream, str(path), column))
            stream.seek(0)
        yield read_texts(stream, str(path), column), total


def read_texts(stream: BinaryIO, name: str, column: str | None = None) -> Iterator[str]:
    """Yield the texts in `stream`: its lines without their ends, or one column of comma-separated rows.

    Args:
        name: name of the stream in messages.
        column: if None, each line is a text. Otherwise the first line is a header and the texts are in this column; fields in
            double quotes may contain commas and line breaks, and empty lines are skipped. Lines may end in LF, CR LF or a
            lone CR, as in the CSV files that `prepare` reads.

    Raises:
        UserError: bytes that are not UTF-8, a NUL character, an empty or blank text, no text at all, no such column, or a row
            that is not valid CSV; the message names the line.
    """
    lines = _decoded(stream, name)
    numbered = enumerate((line.removesuffix("\n").removesuffix("\r") for line in lines), start=1)
    found = False
    for line, text in numbered if column is None else _column(lines, name, column):
        if not text.strip():
            place = "is empty" if column is None else f"is empty in column {column!r}"
            raise UserError(f"{name}: line {line} {place}, so there is no text to classify; fill it in or remove the line")
        found = True
        yield text
    if not found:
        raise UserError(f"{name}: contains no text" + (" below the header line" if column is not None else ""))


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


def _decoded(stream: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of `stream` with their line ends, without a byte order mark."""
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if b"\0" in line:
            raise UserError(f"{name}: line {number} contains a NUL character, which is not text; save the file as text in UTF-8")
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            byte = f"{line[error.start]:#04x}"
            raise UserError(f"{name}: line {number} contains the byte {byte}, which is not UTF-8; save it as UTF-8") from None


def _column(lines: Iterator[str], name: str, column: str) -> Iterator[tuple[int, str]]:
    # newline="": a lone CR ends a line too, and line ends inside quoted fields stay as they are
    parts = (part for line in lines for part in StringIO(line, newline=""))
    for line, (text,) in csv_fields(parts, name, [column], "name one of them with --text-column"):
        yield line, text
