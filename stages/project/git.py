"""What git says: the answer of a command, and files as the last commit has them."""

import os
import subprocess
from functools import cache
from pathlib import Path

from stages.project.paths import DURATIONS, PARAMS

# what git says (in English), and what it means for the record, which names nobody's folders
REASONS = (
    ("dubious ownership", "not readable: dubious ownership (the checkout belongs to another user)"),
    ("not a git repository", "not readable: no git repository"),
    ("does not have any commits yet", "not readable: no commit yet"),
)
COMPARED = (PARAMS, DURATIONS)  # the files that a stage compares with the last commit, all read at once


class Unreadable(Exception):
    """git gave no answer; the message says why."""


def git(*arguments: str, given: str = "") -> str:
    """Return what `git ARGUMENTS` prints, `given` being what it reads.

    Raises:
        Unreadable: git is not installed, or the command failed.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
            check=True,
        )
    except OSError:
        raise Unreadable("not readable: git is not installed") from None
    except subprocess.CalledProcessError as error:
        found = (meaning for words, meaning in REASONS if words in error.stderr)
        raise Unreadable(next(found, f"not readable: git {arguments[0]} failed")) from None
    return done.stdout.rstrip("\n")  # lines of `git status` may start with a space


def committed(path: Path) -> str:
    """Return one of the files `COMPARED` as it is in the last commit; "" if it is not there, or without git.

    All are read by one process of git, once: a stage does not commit, and starting git takes longer than reading does.
    """
    return _committed_in(Path.cwd()).get(path, "")


@cache
def _committed_in(folder: Path) -> dict[Path, str]:
    mark = "next file"
    # after each file the batch prints what it says of a name that does not exist
    asked = "".join(f"HEAD:./{path}\n{mark}\n" for path in COMPARED)
    try:
        parts = git("-C", str(folder), "cat-file", "--batch", given=asked).split(f"\n{mark} missing")
    except Unreadable:
        return dict.fromkeys(COMPARED, "")
    texts = (part.lstrip("\n").partition("\n")[2] for part in parts)  # the first line has the object's name, type and size
    return dict(zip(COMPARED, texts, strict=False))
