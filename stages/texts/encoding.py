"""Read text files strictly as UTF-8: a fault is reported, never repaired by guessing."""

import codecs
from pathlib import Path

from stages.project.errors import UserError

BLOCK = 1 << 20  # bytes


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file, without the byte order mark if it has one.

    Decoding is strict: guessing another encoding could change texts without a trace.

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
        raise _not_utf8(path, 0, error) from None


def check_text(path: Path) -> None:
    """Check the whole file at `path`, block by block, before any of it is used.

    Raises:
        UserError: no such file, not UTF-8, or it contains a NUL character; the message names the line.
    """
    decoder, lines = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
                if 0 in block:
                    line = lines + block.count(b"\n", 0, block.index(0)) + 1
                    raise UserError(
                        f"{path}: line {line} contains a NUL character, so this is not a text file; save it as CSV in UTF-8"
                    )
                lines += block.count(b"\n")
        decoder.decode(b"", final=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage fetch first") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(path, lines, error) from None


def _not_utf8(path: Path, lines: int, error: UnicodeDecodeError) -> UserError:
    """Return the error for a byte that cannot be decoded; `lines` line ends precede the block that contains it."""
    line = lines + error.object.count(b"\n", 0, error.start) + 1
    byte = f"{error.object[error.start]:#04x}"
    return UserError(f"{path}: line {line} contains the byte {byte}, which is not UTF-8; save the file as UTF-8")
