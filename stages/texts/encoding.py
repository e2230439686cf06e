"""Decode text files strictly: a byte that does not fit is reported, never repaired by guessing."""

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stages.project.errors import UserError
from stages.texts.faults import Faults
from stages.texts.options import Options

MARKS = {  # the longer ones first: that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OTHERS = {  # first bytes of files that are not text, whatever they are called
    b"PK\x03\x04": "an Excel workbook or a ZIP archive; save the table as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the table as CSV UTF-8",
    b"PAR1": "a Parquet file; give it a name that ends in .parquet",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"(\xb5/\xfd": "compressed with zstd; unpack it first",
}
UNDECODED = re.compile("[\ud800-\udfff]")  # Python keeps a byte that cannot be decoded as a lone surrogate


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file, without the byte order mark if it has one.

    Raises:
        UserError: no such file, or not UTF-8; the message names the line and the byte.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage fetch first") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"{content[error.start]:#04x}"
        raise UserError(f"{path}: line {line} contains the byte {byte}, which is not UTF-8; save the file as UTF-8") from None


def text_lines(stream: BinaryIO, faults: Faults, options: Options, newline: str = "") -> Iterator[str]:
    """Yield the lines of `stream` with their ends, without a byte order mark.

    A line with bytes that cannot be decoded, or with a NUL character, is noted in `faults`; what is yielded for it is of no use.

    Args:
        stream: from the beginning of a file; buffered, and open at the end.
        newline: as for `open`: "" ends a line at LF, CR LF and a lone CR, "\\n" at LF only.

    Raises:
        UserError: the file is not text, or its byte order mark contradicts `options.encoding`.
    """
    codec = _codec(stream, faults.name, options)
    lines = io.TextIOWrapper(stream, encoding=codec, errors="surrogateescape", newline=newline)
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                line = line.removeprefix("\ufeff")
            if "\0" in line:
                advice = f"is it UTF-16? then set {options.prefix}encoding=utf-16; or save it as UTF-8"
                faults.add(number, "contains a NUL character, which is not text", advice)
            elif not line.isascii() and (bad := UNDECODED.search(line)):
                faults.add(number, *_undecoded(line, number, bad.start(), codec, options))
            yield line
    except UnicodeDecodeError as error:  # UTF-16 and UTF-32, which cannot go on behind a fault
        reason = f"cannot be read as {codec}: {error.reason}"
        raise UserError(f"{faults.name}: {_after(number)}{reason}; set {options.prefix}encoding to its true encoding") from None
    finally:
        with suppress(ValueError):  # the stream is closed already where a fault ended the reading
            lines.detach()


def _after(line: int) -> str:
    return f"what follows line {line} " if line else ""


def _codec(stream: BinaryIO, name: str, options: Options) -> str:
    """Return the codec for `stream`, of which nothing is consumed."""
    start = stream.peek(8)[:8] if isinstance(stream, io.BufferedReader) else b""
    for other, what in OTHERS.items():
        if start.startswith(other):
            raise UserError(f"{name}: not a text file but {what}")
    marked = next((encoding for mark, encoding in MARKS.items() if start.startswith(mark)), None)
    if options.encoding == "auto":
        if marked and marked != "utf-8":
            options.tell(f"{name}: read as {marked.upper()}, as its byte order mark says")
        return marked or "utf-8"
    codec = codecs.lookup(options.encoding).name
    if marked and not codec.startswith(marked):
        raise UserError(
            f"{name}: its byte order mark says {marked.upper()}, {options.prefix}encoding says {options.encoding}; set it to auto"
        )
    return codec


def _undecoded(line: str, number: int, place: int, codec: str, options: Options) -> tuple[str, str, str]:
    """Return the fault of a line whose character at `place` is a byte that cannot be decoded, as `Faults.add` takes it."""
    byte = f"{ord(line[place]) - 0xDC00:#04x}"
    what, many = f"contains the byte {byte}, which is not {codec.upper()}", f"contain bytes that are not {codec.upper()}"
    if codec != "utf-8":
        return what, f"set {options.prefix}encoding to its true encoding, or save the file as UTF-8", many
    start, end = (re.search(r"\S*$", line[:place]), re.match(r"\S*", line[place:]))
    assert start and end  # both match nothing at least
    piece = (start.group()[-15:] + end.group()[:15]).encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    setting = f"{options.prefix}encoding=cp1252 (Windows, Excel)"
    advice = f"save it as UTF-8, or set {setting} if {piece!r} in line {number} reads well"
    return what, advice, many


@contextmanager
def opened(path: Path, advice: str) -> Iterator[BinaryIO]:
    """Open the file at `path`; if that fails, raise a `UserError` that ends in `advice`."""
    try:
        stream = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; {advice}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; {advice}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    with stream:
        yield stream
