"""How Ctrl-C ends a stage: at once, with one line that says how to go on."""

import sys

MESSAGE = "stopped; `dvc repro` goes on from here: finished stages are kept, a training continues at its last saved point"


def end_quietly_on_interrupt() -> None:
    """Show one line instead of a traceback for a KeyboardInterrupt that nobody catches; the process ends as by SIGINT."""
    show_traceback = sys.excepthook

    def show(kind, error, traceback):
        if issubclass(kind, KeyboardInterrupt):
            print(f"\n{MESSAGE}", file=sys.stderr)
        else:
            show_traceback(kind, error, traceback)

    sys.excepthook = show
