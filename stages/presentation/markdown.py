"""Markdown for the report and the model cards: YAML front matter, tables, and text in which nothing acts as markup."""

import re
from collections.abc import Iterable, Sequence

import yaml

from stages.presentation.text import one_line

_FRONT = re.compile(r"\A---\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")  # $ starts a formula and & an entity where GitHub shows the file


def front_matter(text: str) -> dict:
    """Return the YAML mapping between two lines `---` at the start of `text`; {} if there is none or it cannot be parsed."""
    match = _FRONT.match(text)
    try:
        content = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Return a table with the first column aligned left and all others right; cells are Markdown, and `|` in them is escaped."""
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(_UNESCAPED_BAR.sub(r"\\|", str(cell)) for cell in cells) + " |" for cells in lines)


def plain(text: str) -> str:
    """Return `text` as one line without Markdown markup: class names and file names can contain any character."""
    return _SPECIAL.sub(r"\\\1", one_line(text))
