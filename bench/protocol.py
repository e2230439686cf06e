"""A timed arm: a process that works when it is told to, one at a time.

This file imports only the standard library, because the AdapterHub arm runs it in the environment of that library.
"""

import json
import sys
import time
from collections.abc import Callable

TRAINED_ROWS = 384  # twelve steps of 32, for every arm that trains


def serve(work: Callable[[], float]) -> None:
    """For each line on standard input, call `work`, which returns the units of work done, and answer with units and seconds.

    The answer is a line of JSON on standard output; what `work` prints goes to standard error.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        units = work()
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "units": units}), file=answers, flush=True)
