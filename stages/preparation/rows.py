"""One labelled text, and how files of texts are decoded."""

from pathlib import Path
from typing import NamedTuple

from stages.errors import UserError


class Row(NamedTuple):
    """A text and its class index; the index is None if the text's rating takes no side."""

    text: str
    label: int | None


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
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"{content[error.start]:#04x}"
        raise UserError(f"{path}: line {line} holds the byte {byte}, which is not UTF-8; save the file as UTF-8") from None
