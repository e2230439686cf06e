"""A stage that DVC started ends when DVC has ended: nobody would record what it writes."""

import contextlib
import os
import signal
import sys
import threading
import time

import psutil

STAGE_OF_DVC = "DVC_STAGE"  # environment variable: DVC sets it for the command of a stage
SHELLS = {"sh", "ash", "bash", "busybox", "dash", "fish", "ksh", "zsh"}
PAUSE = 1.0  # seconds between two looks
PATIENCE = 10.0  # seconds in which a process that was interrupted must have ended


def end_with_dvc() -> None:
    """From now on, interrupt this process, as Ctrl-C does, when DVC ends; only if it belongs to a stage of DVC.

    `dvc queue kill`, or a kill of DVC itself, ends DVC and not the stage, which would train on for hours, unseen, and beside the
    same training when that is started again. A process of several that a launcher started ends with the launcher.
    """
    if STAGE_OF_DVC in os.environ:
        below = psutil.Process()
        while (parent := below.parent()) and parent.name() in SHELLS:  # some shells stay between DVC and the command
            below = parent
        threading.Thread(target=_end_with_parent, args=(below, below.ppid()), daemon=True).start()


def _end_with_parent(process: psutil.Process, parent: int) -> None:
    """Interrupt this process when `process`, itself or one above it, is no more, or no more a child of `parent`."""
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.ppid() == parent:
            time.sleep(PAUSE)
    with contextlib.suppress(OSError):  # what read the output may have ended too
        print("\nDVC was ended, and with it this stage", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGTERM)  # what was started in the background may ignore the other
