"""How a stage ends when something outside the code is wrong: one message, exit status 1, no traceback."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """A fault in parameters, data, model files or the machine that the user can mend.

    The message names what was wrong, the value received and what would be right.
    """


def run_stage(main: Callable[[], None]) -> None:
    """Call `main` and turn a `UserError` into one message on standard error and exit status 1."""
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("\nstopped; `dvc repro` starts this stage again", file=sys.stderr)
        sys.exit(130)
