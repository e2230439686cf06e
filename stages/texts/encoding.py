"""Text files as UTF-8, strictly: a fault is named, never repaired by guessing."""

import codecs
from pathlib import Path

from stages.project.errors import UserError

BLOCK = 1 << 20  # bytes


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file, without the byte order mark if it has one.

    Decoding is strict: a file in another encoding is refused, not repaired by guessing, because guessing would change
    texts without a trace. The embedded files are UTF-8 throughout.

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
    """Read the file at `path` once, block by block, to know that all of it is text before any of it is used.

    Raises:
        UserError: no such file, not UTF-8, or a NUL character in it; the message names the line.
    """
    decoder, lines = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
                if 0 in block:
                    line = lines + block.count(b"\n", 0, block.index(0)) + 1
                    raise UserError(f"{path}: line {line} holds a NUL character, which no text file has; save it as CSV in UTF-8")
                lines += block.count(b"\n")
        decoder.decode(b"", final=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the stage fetch first") from None
    except UnicodeDecodeError as error:
        raise _not_utf8(path, lines, error) from None


def _not_utf8(path: Path, lines: int, error: UnicodeDecodeError) -> UserError:
    """The fault at a byte that cannot be decoded, `lines` line ends after the beginning of the file."""
    line = lines + error.object.count(b"\n", 0, error.start) + 1
    byte = f"{error.object[error.start]:#04x}"
    return UserError(f"{path}: line {line} holds the byte {byte}, which is not UTF-8; save the file as UTF-8")
