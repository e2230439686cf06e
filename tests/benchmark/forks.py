"""Memory is measured in a process that has loaded the libraries and freed nothing: a fork of one that did no more than that."""

import multiprocessing
from collections.abc import Callable
from typing import Any


def in_a_fork(function: Callable, *arguments: Any) -> Any:
    """Return what `function` returns in a child of this process. Run it in one that was spawned: a fork has no other threads."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sending.send(function(*arguments)))
    child.start()
    sending.close()  # else a child that fails would leave the next line waiting
    try:
        return receiving.recv()
    finally:
        child.join()
