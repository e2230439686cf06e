"""The commit that the code of a stage is of, as far as git can tell it, and in words why it cannot."""

import os
import subprocess
from typing import NamedTuple

COMPLETE = "complete"
NOT_RECORDED = "not recorded: DVC brought the results without their record"
UNKNOWN = "unknown"  # an input of a stage whose results were not recorded
SHALLOW = "shallow: this commit or an older one that the clone does not have"
# what git says (in English), and what it means for the record, which names nobody's folders
REASONS = (
    ("dubious ownership", "not readable: dubious ownership (the checkout belongs to another user)"),
    ("not a git repository", "not readable: no git repository"),
    ("does not have any commits yet", "not readable: no commit yet"),
)


class Revision(NamedTuple):
    """Where code comes from.

    Attributes:
        commit: the last commit that changed the code, None if git cannot tell.
        uncommitted: files that differ from their committed state, None if git cannot tell.
        history: "complete", or what limits the other two: a shallow clone ends at a commit in which all files seem to be
            new, so what it says may be younger than the true one; or the reason why there is nothing.
    """

    commit: str | None
    uncommitted: list[str] | None
    history: str


class _Unreadable(Exception):
    """git gave no answer; the message says why."""


def revision_of(code: list[str], watched: list[str]) -> Revision:
    """Return the last commit that changed `code`, and which files among `watched` are not as committed."""
    try:
        changed = _git("status", "--porcelain", "--no-renames", "--", *watched).splitlines()
        commit = _git("log", "-1", "--format=%H", "--", *code) or None
        boundary = commit is not None and _git("rev-parse", "--is-shallow-repository") == "true" and _is_cut_off(commit)
    except _Unreadable as reason:
        return Revision(None, None, str(reason))
    return Revision(commit, sorted(line[3:] for line in changed), SHALLOW if boundary else COMPLETE)


def _is_cut_off(commit: str) -> bool:
    """Whether the clone lacks the parents of `commit`: the commit itself names them, the history does not."""
    named = sum(line.startswith("parent ") for line in _git("cat-file", "commit", commit).splitlines())
    return named > len(_git("log", "-1", "--format=%P", commit).split())


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C"},
            check=True,
        )
    except OSError:
        raise _Unreadable("not readable: git is not installed") from None
    except subprocess.CalledProcessError as error:
        found = (meaning for words, meaning in REASONS if words in error.stderr)
        raise _Unreadable(next(found, f"not readable: git {arguments[0]} failed")) from None
    return done.stdout.rstrip("\n")  # lines of `git status` may start with a space
