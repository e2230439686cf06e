"""How a stage runs: alone in its checkout, and ending in one message when something outside the code is wrong."""

import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

from stages.errors import UserError
from stages.paths import SCRATCH
from stages.processes import is_main_process

DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


def run_stage(main: Callable[[], None]) -> None:
    """Call `main` while no other stage runs in this checkout; faults end it as `report_errors` says.

    Several processes of one training are one stage: the first holds the lock and speaks for all. Ctrl-C is left to
    `stages.interrupted`, which also catches it while the libraries are still being imported.
    """
    gc.enable()  # off while the libraries were imported
    alone = only_stage(Path(sys.argv[0]).stem) if is_main_process() else _silently()
    with report_errors(), alone:
        main()


@contextmanager
def _silently() -> Iterator[None]:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a `UserError`, and a disk that is full or may not be used, into one message on standard error and exit status 1.

    Of several processes that train together only the first tells it.
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
    """Hold the checkout's lock, so that no two stages write or read half-written results at once.

    The lock belongs to the process: it is free again when that ends, also when it is killed.

    Raises:
        UserError: another stage holds it; the message names the stage and its process.
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
            "wait until it ends, or use a folder of its own: dvc exp run --temp"
        ) from None
