"""The commands that README and docs tell you to type, found in their code, and read as a shell and DVC would read them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("dvc", "make", "python")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")  # of a variable of the environment, in front of a command
_REVISION = "0" * 40  # what `$(git ls-remote ...)` gives: a commit


def code(page: str) -> Iterator[str]:
    """The inline code and the lines of code blocks of a Markdown page; a line that ends in a backslash goes on in the next."""
    for inline, line in re.findall(r"`([^`\n]+)`|^ {4}(.+)$", page.replace("\\\n", " "), re.MULTILINE):
        yield inline or line


def words(line: str) -> list[list[str]]:
    """The words of each command of a shell line, as a shell separates them; comments are dropped."""
    lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", _REVISION, line), posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;"):
            commands.append([])
        elif not _ASSIGNMENT.match(word) or commands[-1]:
            commands[-1].append(word)
    return [command for command in commands if command]


def lines(path: Path) -> list[str]:
    """The lines of code on a page that start with a program of ours, as they stand."""
    return [line for line in code(path.read_text()) if re.match(r"(?:[A-Z_]+=\S+ )*(?:dvc|make|python -m)\b ?", line)]


def commands(path: Path) -> list[list[str]]:
    """All commands of ours on a page that a shell could run, each as its words."""
    return [command for line in lines(path) for command in words(line) if command[0] in PROGRAMS]


def overrides(command: list[str]) -> list[str]:
    """What a `dvc exp run` sets with -S, --set-param or -S=."""
    return [command[place + 1] for place, word in enumerate(command) if word in ("-S", "--set-param")]
