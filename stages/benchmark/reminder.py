"""Tell that the report still quotes earlier timings, where DVC sees no reason to render it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REMINDER = (
    "the counted numbers are as before, so DVC renders the reports only if something else changed; "
    "to have these timings in them: dvc repro -f -s report"
)


@contextmanager
def reminder(counted: Path, report: Path) -> Iterator[None]:
    """Print one line after the block if it left the bytes of `counted` as they were while there is a `report`.

    `report` depends on `counted` only: no hash of a timing may stand in dvc.lock, so DVC cannot see that they are new.
    """
    before = _content(counted)
    yield
    if report.is_file() and before is not None and before == _content(counted):
        print(REMINDER, flush=True)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
