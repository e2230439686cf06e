"""python -m study.run [NAME ...] [--jobs N]

Runs the cells that are missing (`make study`), or the named ones if they are, as many at once as there are cores: a cell has one
thread. The learning rates come first; the other cells take the chosen ones. If the best rate is at the edge of its grid, the grid
in study/params.yaml is extended by a factor of 2 and the new rates are tried; what still has no rate then, or failed, is told and
left out, and the other cells run. Stop it whenever you like, with Ctrl-C or harder: finished cells stay, the others start again
next time. At the end metrics/study/cells.csv has a row for every finished cell.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stages.project.durations import in_words
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.running import only_stage, report_errors
from study import budget, collect, inputs, rates, state
from study.definition import Cell, cells_of, find_cell
from study.paths import CELLS, LOGS
from study.rates_file import learning_rate_of
from study.settings import PARAMS, Study, load_study

POLL = 0.2  # seconds between looks at the running cells
PATIENCE = 10  # seconds in which a cell that is to end must have ended
LAST_LINES = 12  # of the log of a cell that failed
EXTENSIONS = 3  # of a grid, in one run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m study.run", description="Run the cells of the study that are missing.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="cells to run; without names all, see python -m study.cells")
    parser.add_argument("--jobs", type=int, default=cores(), help="cells at once (default: %(default)s, the number of cores)")
    options = parser.parse_args()
    if options.jobs < 1:
        raise UserError(f"--jobs: must be 1 or more, received {options.jobs}")
    study = load_study()
    wanted = [find_cell(study, name) for name in options.names] or list(cells_of(study).values())
    with terminated_as_interrupted():
        run(study, wanted, options.jobs)


def run(study: Study, wanted: list[Cell], jobs: int) -> None:
    """Run those of `wanted` that are not finished, the learning rates first.

    Raises:
        UserError: at the end, if a cell failed or some cells have no learning rate.
    """
    if not missing(wanted):
        print(f"all {len(wanted)} cells are finished: nothing to run")
        collect.main()
        return
    require_data()
    with only_stage("study"):
        try:
            left = missing(cells_of(study).values())  # DVC takes seconds to say this
            untried = [cell for cell in left if cell.series == "rates"]
            later = [cell for cell in wanted if cell.series != "rates"]
            first, others = [cell for cell in wanted if cell in untried], [cell for cell in later if cell in left]
            faults = Runner(study, first, jobs, after=others).run()
            if later and len(first) == len(untried):
                faults += choose_rates(study, jobs, after=others)
                others = missing(later)
                if without := [cell.name for cell in others if not has_rate(cell)]:
                    faults.append(f"{len(without)} cell(s) left out, which have no learning rate: {in_short(without)}")
                others = [cell for cell in others if cell.name not in without]
            faults += Runner(study, others, jobs).run()
        finally:
            collect.main()
    if faults:
        raise UserError("\n  ".join(["the study is not complete", *faults]))


def choose_rates(study: Study, jobs: int, after: list[Cell]) -> list[str]:
    """Choose the learning rates, try more of them where the best is at the edge of its grid, and return what went wrong."""
    for _ in range(EXTENSIONS):
        edges = rates.edges_of(study)
        if not edges or not rates.extend(edges):
            break
        print("\n".join([f"{PARAMS}: the best learning rate must be inside the grid; added:", *map(str, edges)]), flush=True)
        study = load_study()
        more = [cell for cell in missing(cells_of(study).values()) if cell.series == "rates"]
        if failed := Runner(study, more, jobs, after=after).run():
            return failed + rates.main()
    return rates.main()


def has_rate(cell: Cell) -> bool:
    """Whether the learning rate of a cell is known."""
    try:
        return learning_rate_of(cell) > 0
    except UserError:
        return False


def in_short(names: list[str]) -> str:
    return ", ".join([*names[:4], *(["..."] if len(names) > 4 else [])])


def missing(cells: Iterable[Cell]) -> list[Cell]:
    """Return those of `cells` that are not finished, after bringing the files that they depend on up to date."""
    inputs.main()
    stages = state.unfinished_stages()
    return [cell for cell in cells if cell.stage in stages]


def require_data() -> None:
    """Bring the prepared texts and the encoder up to date, as the comparison's own trainings would."""
    print("dvc repro prepare", flush=True)
    done = subprocess.run(["dvc", "repro", "--quiet", "prepare"], env=os.environ | state.QUIET)
    if done.returncode:
        raise UserError("the cells need what the stage prepare writes, and it failed, see above")


class Runner:
    """Runs `cells`, `jobs` at once, in their order.

    Args:
        after: cells that will follow, for the time that is left.
    """

    def __init__(self, study: Study, cells: list[Cell], jobs: int, after: Iterable[Cell] = ()):
        self.waiting, self.jobs = list(cells), jobs
        self.running: dict[str, tuple[Cell, subprocess.Popen]] = {}
        self.failed: list[str] = []
        self.done, self.number = 0, len(cells)
        sizes = budget.texts_in_sets()
        factor = budget.correction(cells_of(study).values(), study, sizes)
        self.seconds = {cell.name: factor * budget.seconds_of(cell, study, sizes) for cell in (*cells, *after)}
        self.after = [cell.name for cell in after]

    def run(self) -> list[str]:
        """Run all, and return which failed, in words: a cell that fails does not stop the others."""
        with noted_interrupts() as interrupted:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.jobs and not interrupted:
                    cell = self.waiting.pop(0)
                    self.running[cell.name] = cell, state.start_stage(cell.stage, LOGS / f"{cell.name}.txt")
                time.sleep(POLL)
                for name, (cell, process) in list(self.running.items()):
                    if not interrupted and process.poll() is not None:
                        del self.running[name]
                        self.ended(cell, process.returncode)
                if interrupted:
                    self.stop()
                    raise KeyboardInterrupt("told")
        return [f"{len(self.failed)} cell(s) failed: {in_short(self.failed)}; their output is in {LOGS}"] if self.failed else []

    def ended(self, cell: Cell, status: int) -> None:
        """Print how a cell ended, and what is left."""
        self.done += 1
        if status:
            self.failed.append(cell.name)
            lines = (LOGS / f"{cell.name}.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
            print("\n".join([f"{cell.name} failed with status {status}:", *(f"    {line}" for line in lines)]), flush=True)
            return
        row = read_json(CELLS / f"{cell.name}.json")
        score = f"test F1 {row['test_f1']:.4f}" if row["test_f1"] is not None else f"validation F1 {row['validation_f1']:.4f}"
        print(f"[{self.done}/{self.number}] {cell.name}: {score}; {self.left()}", flush=True)

    def left(self) -> str:
        """How many cells are left, and for how long."""
        names = [*(cell.name for cell in self.waiting), *self.running, *self.after]
        if not names:
            return "none left"
        return f"{len(names)} left, {in_words(sum(self.seconds[name] for name in names) / self.jobs)}"

    def stop(self) -> None:
        """End the running cells with all their processes; they have written nothing yet."""
        for _, process in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for _, process in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
            wait_for_group(process.pid)
        left = len(self.waiting) + len(self.running) + len(self.after)
        print(f"\nstopped; finished cells are kept, {left} left: `make study` goes on from here", flush=True)


def wait_for_group(group: int) -> None:
    """Kill what is left of a process group, and wait until it is gone: a cell in its libraries takes a moment to end."""
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, signal.SIGKILL)
            time.sleep(POLL)


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let a polite end (SIGTERM, a closed terminal) do what Ctrl-C does, and end with the status of that."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with handled(interrupt):
        try:
            yield
        except KeyboardInterrupt as interrupted:
            if not interrupted.args:  # before the first cell, or after the last
                print("\nstopped while no cell ran: `make study` goes on from here", flush=True)
            raise SystemExit(130) from None


@contextlib.contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Yield a list to which Ctrl-C and its like are added: raised at once, they could hit while a cell is being started."""
    noted: list[int] = []
    with handled(lambda number, frame: noted.append(number)):
        yield noted


@contextlib.contextmanager
def handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Let `handler` have the signals that ask for an end."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    with report_errors():
        main()
