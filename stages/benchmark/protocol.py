"""Time several things fairly against each other: warmed up, interleaved, in an order that rotates."""

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from stages.benchmark.statistics import median


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """`names` shifted cyclically by `turn`, so that over len(names) turns each name comes once in each position."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]


def time_interleaved(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    warmup: int,
    synchronize: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of `repeats` calls of each of `calls`, entry r of every list from the same round.

    In every round each call runs once: a drift of the machine (heat, neighbours) then meets all alike, and the ratio of
    two calls is taken within a round. `synchronize` waits for the device's queue, before the clock starts and before it is
    read, since a CUDA kernel is only launched when its call returns. The `warmup` rounds before are not timed.
    """
    names = list(calls)
    for turn in range(warmup):
        for name in rotated(names, turn):
            calls[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in rotated(names, turn):
            synchronize()
            start = clock()
            calls[name]()
            synchronize()
            seconds[name].append(clock() - start)
    return seconds


def median_milliseconds(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: 1000 * median(values) for name, values in seconds.items()}


def synchronizer(device: torch.device) -> Callable[[], None]:
    """What waits until `device` has finished all that was asked of it; a CPU works while it is asked."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def fix_threads() -> int:
    """Keep PyTorch at the number of threads that it would start with (OMP_NUM_THREADS, else the cores), and return it.

    Setting the number, even to what it was, also stops the linear algebra library from choosing a smaller one call by call.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    return threads


def busy_note(load_average: float, threads: int) -> str | None:
    """Return a remark if, over a minute, more than one thread besides our own `threads` was running or ready to run.

    Interleaving cannot correct for that: threads that wait for each other after every operation lose a whole time slice
    whenever one of them has to queue, and a method with more operations loses more often.
    """
    if load_average <= threads + 1:
        return None
    return (
        f"note: load average {load_average:.1f} while {threads} thread(s) were measured: other programs were running too. "
        "For clean timings run `dvc repro --force --single-item benchmark` on an idle machine."
    )
