"""How Ctrl-C ends a stage: at once, with one line that says how to go on."""

import os
import signal
import sys

MESSAGE = "stopped; `dvc repro` goes on from here: finished stages are kept, a training continues at its last saved point"


def end_quietly_on_interrupt() -> None:
    """Show one line instead of a traceback for a KeyboardInterrupt that nobody catches, and end as the signal would."""
    show_traceback = sys.excepthook

    def show(kind, error, traceback):
        if not issubclass(kind, KeyboardInterrupt):
            show_traceback(kind, error, traceback)
            return
        print(f"\n{MESSAGE}", file=sys.stderr)
        sys.stdout.flush()
        # a shell or DVC sees that the process was interrupted, not that it failed
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)

    sys.excepthook = show
