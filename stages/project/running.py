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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from filelock import FileLock, Timeout

from stages.project.errors import UserError
from stages.project.paths import SCRATCH
from stages.project.processes import is_main_process

DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
STOPPED = "stopped; `dvc repro` continues from here: finished stages are kept, a training resumes at its last save point"


@contextmanager
def loading() -> Iterator[None]:
    """Import a stage's libraries inside this block.

    They take seconds to load. From here on Ctrl-C ends the process with one line, during the imports and after them. The
    garbage collector is off in the block: imports leave no garbage, and looking for it takes a tenth of their time.
    """
    _end_quietly_on_interrupt()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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

    Several processes of one training are one stage: rank 0 holds the lock, and only rank 0 prints.
    """
    alone = only_stage(name) if is_main_process() else _silently()
    with report_errors(), alone:
        main()


@contextmanager
def _silently() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a `UserError`, and a disk that is full or not writable, into one message on standard error and exit status 1.

    Of several training processes only rank 0 prints it.
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
    sys.exit(f"error: {message}" if is_main_process() else 1)


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
