"""How tests end processes: by Ctrl-C's signal, or with all below them, as a machine without power would."""

import os
import signal
from pathlib import Path


def interruptible() -> None:
    """As `preexec_fn`: Ctrl-C's signal reaches the new process, also where the suite runs in the background and ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def kill(pid: int) -> None:
    """Kill a process and every one below it, none of which may act on the end of another.

    DVC, told that its command ended, would write its notes and die at it.
    """
    for one in stopped(pid):
        os.kill(one, signal.SIGKILL)


def stopped(pid: int) -> list[int]:
    """Stop a process and every one below it, each before its children are listed, and return them."""
    os.kill(pid, signal.SIGSTOP)
    while letter_of(pid) not in "TZ":
        pass
    return [pid, *(below for child in children(pid) for below in stopped(child))]


def children(pid: int) -> list[int]:
    """Those of every thread; none of a process that is gone."""
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def descendants(pid: int) -> list[int]:
    return [below for child in children(pid) for below in (child, *descendants(child))]


def letter_of(pid: int) -> str:
    """Its letter in /proc, Z for a process that is no more than an entry that nobody has fetched yet, or is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
