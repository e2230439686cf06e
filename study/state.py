"""Which cells are finished, as DVC sees it, and how DVC runs one."""

import json
import os
import subprocess
from pathlib import Path

from stages.forecast import in_use
from stages.project.environment import recorded_environment
from stages.project.errors import UserError

FOLDER = Path("study")
DVC = ("dvc", "--cd", str(FOLDER))
NOTES = (in_use.IN_USE, FOLDER / in_use.IN_USE)  # of the comparison, whose stages prepare the data, and of the study
QUIET = {"DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"}


def environment() -> dict[str, str]:
    """The environment of a cell's process: without variables that decide how sums are rounded, on which bytes would depend."""
    rounding = {name.removeprefix("environment ") for name in recorded_environment()}
    return {name: value for name, value in os.environ.items() if name not in rounding} | QUIET


def unfinished_stages() -> set[str]:
    """Return the stages whose file is missing, or older than the code, data or parameters that it depends on.

    Raises:
        UserError: DVC is not installed, or cannot read study/dvc.yaml.
    """
    for note in NOTES:
        in_use.mend(note)
    try:
        done = subprocess.run([*DVC, "status", "--json"], capture_output=True, text=True, env=os.environ | QUIET)
    except FileNotFoundError:
        raise UserError("dvc: not installed; activate the environment of this project (. .venv/bin/activate)") from None
    if done.returncode:
        raise UserError(f"dvc --cd {FOLDER} status ended with status {done.returncode}:\n{done.stderr.strip()}")
    return set(json.loads(done.stdout))


def start_stage(stage: str, log: Path) -> subprocess.Popen:
    """Start one stage with DVC in a process group of its own; what it prints goes to `log`.

    DVC lets others work while a stage's command runs, and waits for its lock otherwise, so several stages can run at once and
    each adds its entry to study/dvc.lock.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as file:
        return subprocess.Popen(
            [*DVC[:1], "--wait-for-lock", *DVC[1:], "repro", "--single-item", stage],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )
