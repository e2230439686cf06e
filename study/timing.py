"""How long cells took, in metrics/study/seconds.csv: measured with a clock, so it is in no hash and in no cell's file."""

import csv
import re

from filelock import FileLock

from stages.project.files import write_csv
from stages.project.machine import machine_in_words
from study.paths import LOCKS, SECONDS

COLUMNS = ("cell", "seconds", "machine")
THREADS = re.compile(r", \d+ threads?$")  # what the environment says; a cell has one thread, whatever that is


def machine() -> str:
    """Return the machine in words, the same in a cell and in the process that runs the cells."""
    return THREADS.sub("", machine_in_words())


def read_seconds() -> dict[str, tuple[float, str]]:
    """Return seconds and machine of the cells that were timed, by name."""
    try:
        with open(SECONDS, encoding="utf-8", newline="") as file:
            return {row["cell"]: (float(row["seconds"]), row["machine"]) for row in csv.DictReader(file)}
    except FileNotFoundError:
        return {}


def record_seconds(cell: str, seconds: float) -> None:
    """Note how long `cell` took; cells that end at the same time wait for each other."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCKS / "seconds.lock"):
        known = read_seconds() | {cell: (round(seconds, 1), machine())}
        write_csv(SECONDS, COLUMNS, [(name, *known[name]) for name in sorted(known)])
