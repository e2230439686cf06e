"""A timed arm as a process that works when it is told to; only one does at a time.

This file imports nothing but the standard library: the arm of another library runs it in that library's environment.
"""

import json
import sys
import time
from collections.abc import Callable

TRAINED_ROWS = 384  # twelve steps of 32, for every arm that trains


def serve(work: Callable[[], float]) -> None:
    """For each line on standard input call `work`, which returns how many units of work it did, and answer with the seconds.

    The answer is a line of JSON on standard output; whatever `work` prints goes to standard error.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        units = work()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "units": units}), file=answers, flush=True)
