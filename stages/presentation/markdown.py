"""The little Markdown that a model card needs: YAML front matter, sections, tables, and text that can do no harm in them."""

import re
from collections.abc import Iterable, Mapping, Sequence

import yaml

_FRONT = re.compile(r"\A---\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def document(front: Mapping, title: str, sections: Mapping[str, str]) -> str:
    """Return front matter, a first-level heading with the text of section "", and each other section below its own heading."""
    header = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=1000)
    parts = [f"---\n{header}---\n\n# {title}"]
    for name, text in sections.items():
        parts.append(f"## {name}\n\n{text}" if name else text)
    return "\n\n".join(parts) + "\n"


def parse_document(text: str) -> tuple[dict, str, dict[str, str]]:
    """Return front matter, title and sections of what `document` wrote.

    Raises:
        ValueError: it is no such document.
    """
    front = front_matter(text)
    match = re.match(r"\s*# (.+)\n", _FRONT.sub("", text, count=1))
    if not front or not match:
        raise ValueError("front matter and a heading were expected")
    body = _FRONT.sub("", text, count=1)[match.end() :]
    # a heading stands at the start of a line and outside code, whose lines `document`'s callers never start with ##
    first, *others = re.split(r"^## (.+)\n", body, flags=re.MULTILINE)
    names, texts = others[::2], others[1::2]
    return front, match[1], {"": first.strip()} | {name: part.strip() for name, part in zip(names, texts, strict=True)}


def front_matter(text: str) -> dict:
    """Return the YAML mapping between two lines `---` at the start of `text`; {} if there is none that can be read."""
    match = _FRONT.match(text)
    try:
        content = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Return a table whose first column is aligned left and all others right; cells are Markdown, and a `|` in one is escaped."""
    lines = [header, [":---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(_UNESCAPED_BAR.sub(r"\\|", str(cell)) for cell in cells) + " |" for cells in lines)


def plain(text: str) -> str:
    """`text` as one line in which Markdown finds no markup: a class name or a file name may hold any character."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
