"""How a stage runs: alone in its checkout, ending in one message when something outside the code is wrong.

Every entry point uses the two parts in this order:

    with loading():
        from stages.evaluate.stage import evaluate
    run_stage("evaluate", evaluate)
"""

import errno
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from filelock import FileLock, Timeout

from stages.project.durations import UNKNOWN, expected, record, total
from stages.project.environment import settle_environment
from stages.project.errors import UserError
from stages.project.inactive import committed_values, warnings
from stages.project.packages import installed_version
from stages.project.parameters import known_keys, load_params
from stages.project.parent import end_with_dvc
from stages.project.paths import SCRATCH
from stages.project.pipeline import named_parameters, stage_definitions, stages_after
from stages.project.processes import forget_launcher, is_main_process, let_the_first_speak
from stages.project.schema import Params

BEFORE_LORA = ("fetch", "prepare", "train_full")
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
STOPPED = "stopped; `dvc repro` continues from here: finished stages are kept, a training resumes at its last save point"


class Clock:
    """How long this process has worked for its stage.

    Attributes:
        loading: seconds that the imports took.
        partial: whether it only does the rest of a run that was stopped, so that its time measures nothing.
    """

    loading = 0.0
    partial = False


@contextmanager
def loading() -> Iterator[None]:
    """Import a stage's libraries inside this block.

    They take seconds to load. From here on Ctrl-C ends the process with one line, during the imports and after them, the end of
    DVC does the same (`end_with_dvc`), and the environment has no say in the results (`settle_environment`). The garbage
    collector is off in the block, because imports leave no garbage and looking for it takes a tenth of their time, and never
    looks at what was imported: those half a million objects live as long as the process, and each full collection would visit
    them all.
    """
    _end_quietly_on_interrupt()
    end_with_dvc()
    settle_environment()
    started = time.monotonic()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
        Clock.loading = time.monotonic() - started


def _end_quietly_on_interrupt() -> None:
    """Show one line instead of a traceback for an uncaught KeyboardInterrupt, and end as the signal would."""
    show_traceback = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            show_traceback(kind, error, traceback)
            return
        print(f"\n{STOPPED}", file=sys.stderr)
        sys.stdout.flush()
        # a shell or DVC sees that the process was interrupted, not that it failed
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)

    sys.excepthook = show


def run_stage(name: str, main: Callable[[], None]) -> None:
    """Call `main` while no other stage runs in this checkout; faults end it as described in `report_errors`.

    It starts with a line that says what the stage does and for how long, and ends with noting how long it took. Several
    processes of one training are one stage: rank 0 holds the lock, and only rank 0 prints. Any other stage is one process,
    whatever the environment says.
    """
    if not name.startswith("train_"):
        forget_launcher()
    alone = only_stage(name) if is_main_process() else _silently()
    with report_errors(), alone:
        started = time.monotonic()
        announced = announce(name)
        main()
        if announced and is_main_process() and not Clock.partial:
            record(name, *announced, Clock.loading + time.monotonic() - started)


def announce(name: str) -> tuple[dict, Params] | None:
    """Print what the stage `name` does and how long it and the stages after it will take; warn of parameters without effect.

    Returns:
        The stage's definition in dvc.yaml and the parameters; None if it is no stage, or if one of them cannot be read, which
        the stage itself reports.
    """
    try:
        definitions, params = stage_definitions(), load_params()
        definition = definitions[name]
    except (UserError, KeyError):
        return None
    time_of = expected(name, definition, params).phrase
    later = stages_after({name}, definitions)
    if later and (rest := total(later, definitions, params).phrase) != UNKNOWN:
        time_of += f"; then {', '.join(later) if len(later) <= 3 else f'{len(later)} more stages'}, {rest}"
    print(f"{name}: {definition.get('desc', '')} ({time_of})", flush=True)
    if is_main_process():
        # fetch stands at the start of a run, and tells of all parameters; a stage that runs without it tells of its own
        keys = known_keys(Params) if name == "fetch" else named_parameters(definition)
        for warning in [*refused_later(name, params), *warnings(params, committed_values(), keys)]:
            print(f"warning: {warning}", file=sys.stderr, flush=True)
    return definition, params


def refused_later(name: str, params: Params) -> list[str]:
    """Return a sentence on what train_lora will refuse, for a stage `name` that may come before it: told before its training.

    It is no error there: full fine-tuning has no frozen weights and does without the package.
    """
    if name not in BEFORE_LORA or params.train.frozen_dtype != "nf4" or installed_version("bitsandbytes") != "none":
        return []
    return [
        "train_lora will refuse train.frozen_dtype nf4, whose 4-bit layers need the package bitsandbytes, which is not "
        "installed; pip install -r requirements-qlora.txt, or train with train.frozen_dtype bf16 or same"
    ]


@contextmanager
def _silently() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a `UserError`, and a disk that is full or not writable, into one message on standard error and exit status 1.

    Of several training processes the first on each machine prints it, since a file may be missing on one of them, and another
    process only what the first does not know (`let_the_first_speak`).
    """
    try:
        yield
    except UserError as error:
        _end(str(error))
    except OSError as error:
        if error.errno not in DISK_FAULTS:
            raise
        _end(f"{error.filename or 'a file'} could not be read or written: {error.strerror}")


def _end(message: str) -> NoReturn:
    let_the_first_speak()
    sys.exit(f"error: {message}")


@contextmanager
def only_stage(name: str, folder: Path = SCRATCH) -> Iterator[None]:
    """Hold the checkout's lock, so that no stage reads or overwrites what another is writing.

    DVC's own lock is held while `dvc repro` runs, but not by `python -m stages.x`, and it does not cover predict or export.
    The lock belongs to the process: it is released when the process ends, even if it is killed.

    Raises:
        UserError: another stage holds the lock; the message names that stage and its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    owner = folder / "running.txt"
    try:
        with FileLock(folder / "running.lock", timeout=0):
            owner.write_text(f"{name} (process {os.getpid()})", encoding="utf-8")
            yield
    except Timeout:
        raise UserError(
            f"{name} was not started: {owner.read_text(encoding='utf-8') or 'a stage'} is running in this folder; "
            "wait until it ends, or use a separate folder: dvc exp run --temp"
        ) from None
