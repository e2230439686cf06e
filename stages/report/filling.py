"""Markdown paragraphs filled to a line width, so that the templates need not know how long a number or a name is."""

import re
import textwrap

WIDTH = 120
_GLUE = "\x00"  # stands for a space at which no line may end
_AS_IT_IS = re.compile(r"[|#!]|    |\d+\. ")
_AFTER_HEADING = re.compile(r"^(##+ .*)\n\n", re.MULTILINE)
# at the start of a line, these would begin a list, a heading or a quotation
_NOT_FIRST = re.compile(r" (?=(?:[-+*#>|]+|\d+[.)])(?: |$))")


def fill(text: str) -> str:
    """Return `text` with every paragraph and bullet filled to `WIDTH` columns, and one empty line between blocks.

    Headings, tables, pictures, numbered lines, indented and fenced code stay as they are. Inside `code` no line ends. What
    follows a heading follows it at once.
    """
    blocks: list[list[str]] = [[]]
    fence = ""
    for line in text.splitlines():
        if fence:
            blocks[-1].append(line)
            fence = "" if line == fence else fence
        elif opening := re.match(r"`{3,}", line):
            fence = opening[0]
            blocks[-1].append(line)
        elif not line.strip():
            blocks.append([])
        else:
            blocks[-1].append(line.rstrip())
    filled = "\n\n".join("\n".join(_filled(block)) for block in blocks if block)
    return _AFTER_HEADING.sub(r"\1\n", filled) + "\n"


def _filled(block: list[str]) -> list[str]:
    if block[0].startswith("```"):
        return block
    paragraphs: list[str] = []
    for line in block:
        if not paragraphs or line.startswith("- ") or any(map(_AS_IT_IS.match, (line, paragraphs[-1]))):
            paragraphs.append(line)
        else:
            paragraphs[-1] += f" {line.strip()}"
    return [line for paragraph in paragraphs for line in _wrapped(paragraph)]


def _wrapped(paragraph: str) -> list[str]:
    if _AS_IT_IS.match(paragraph):
        return [paragraph]
    mark = "- " if paragraph.startswith("- ") else ""
    body = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", _GLUE), paragraph[len(mark) :])
    body = _NOT_FIRST.sub(_GLUE, re.sub(" +", " ", body))
    lines = textwrap.wrap(
        body,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]
