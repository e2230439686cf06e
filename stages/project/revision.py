"""The commit that the code of a stage is of, as far as git can tell it, and in words why it cannot."""

from typing import NamedTuple

from stages.project.git import Unreadable, git

COMPLETE = "complete"
NOT_RECORDED = "not recorded: DVC brought the results without their record"
UNKNOWN = "unknown"  # an input of a stage whose results were not recorded
SHALLOW = "shallow: this commit or an older one that the clone does not have"


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


def revision_of(code: list[str], watched: list[str]) -> Revision:
    """Return the last commit that changed `code`, and which files among `watched` are not as committed."""
    try:
        changed = git("status", "--porcelain", "--no-renames", "--", *watched).splitlines()
        commit = git("log", "-1", "--format=%H", "--", *code) or None
        boundary = commit is not None and git("rev-parse", "--is-shallow-repository") == "true" and _is_cut_off(commit)
    except Unreadable as reason:
        return Revision(None, None, str(reason))
    return Revision(commit, sorted(line[3:] for line in changed), SHALLOW if boundary else COMPLETE)


def _is_cut_off(commit: str) -> bool:
    """Whether the clone lacks the parents of `commit`: the commit itself names them, the history does not."""
    named = sum(line.startswith("parent ") for line in git("cat-file", "commit", commit).splitlines())
    return named > len(git("log", "-1", "--format=%P", commit).split())
