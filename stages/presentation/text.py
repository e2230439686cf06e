"""Text from the user in something that is laid out: one line, nothing invisible, and how wide it is."""

import unicodedata
from collections.abc import Sequence

_JOINERS = "\u200c\u200d"  # not printable by themselves, but part of words and of emoji


def one_line(text: str) -> str:
    """Return `text` with line breaks and runs of spaces as one space, and what cannot be seen as its number: `\\u200b`."""
    spaced = " ".join(str(text).split())
    return "".join(c if c.isprintable() or c in _JOINERS else f"\\u{ord(c):04x}" for c in spaced)


def display_width(text: str) -> int:
    """Return how many columns `text` takes in a terminal: East Asian wide characters two, combining marks none."""
    columns = {"W": 2, "F": 2}
    return sum(0 if unicodedata.combining(c) else columns.get(unicodedata.east_asian_width(c), 1) for c in text)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` as columns two spaces apart, the first flush left, the others flush right."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for cells in rows:
        gaps = [" " * (width - display_width(cell)) for cell, width in zip(cells, widths, strict=True)]
        rest = [gap + cell for cell, gap in zip(cells[1:], gaps[1:], strict=True)]
        lines.append("  ".join([cells[0] + gaps[0], *rest]).rstrip())
    return "\n".join(lines)
