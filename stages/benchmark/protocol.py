"""Time several calls fairly against each other: warmed up, interleaved, in rotating order."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import torch

from stages.benchmark.statistics import median

Name = TypeVar("Name", bound=Hashable)


def rotated(names: Sequence[Name], turn: int) -> list[Name]:
    """Return `names` rotated by `turn`, so that in len(names) turns each name is once in each position."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def time_interleaved(
    calls: Mapping[Name, Callable[[], object]],
    repeats: int,
    warmup: int,
    synchronize: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Name, list[float]]:
    """Return the seconds of `repeats` calls of each of `calls`, entry r of every list from the same round.

    Each call runs once per round, so that drift of the machine (heat, other programs) affects all calls alike and the ratio
    of two calls can be taken within a round. `synchronize` waits for the device's queue before the clock starts and before it
    stops, because a CUDA call returns when its kernel is launched, not when it is done. `warmup` rounds come first, untimed.
    """
    names = list(calls)
    for turn in range(warmup):
        for name in rotated(names, turn):
            calls[name]()
    seconds: dict[Name, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in rotated(names, turn):
            synchronize()
            start = clock()
            calls[name]()
            synchronize()
            seconds[name].append(clock() - start)
    return seconds


def median_milliseconds(seconds: Mapping[Name, Sequence[float]]) -> dict[Name, float]:
    return {name: 1000 * median(values) for name, values in seconds.items()}


def synchronizer(device: torch.device) -> Callable[[], None]:
    """Return a function that waits until `device` has finished all queued work; on a CPU there is no queue."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def fix_threads() -> int:
    """Fix the number of threads at PyTorch's default (OMP_NUM_THREADS, else the number of cores), and return it.

    Setting it, even to the same value, also stops the linear algebra library from choosing fewer threads for single calls.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    return threads


def busy_note(load_average: float, threads: int) -> str | None:
    """Return a note if, averaged over a minute, more than one thread besides our own `threads` was running or ready to run.

    Interleaving cannot correct for this: threads that wait for each other after every operation lose a time slice whenever
    one of them has to queue, and a method with more operations loses more often.
    """
    if load_average <= threads + 1:
        return None
    return (
        f"note: load average {load_average:.1f} while {threads} thread(s) were measured: other programs were running. "
        "For clean timings run `dvc repro --force --single-item benchmark` on an idle machine."
    )
