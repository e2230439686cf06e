"""python -m stages.launch train_full

Starts a training with what `train.launcher` in params.yaml says: one process, or several under torchrun or accelerate. Params.yaml
is checked first, and whether so many processes can share the batch, so that a mistake there is told once and not by each process.
"""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from stages.config import Params, load_params
from stages.errors import UserError
from stages.memory.batching import share_batch
from stages.running import report_errors

STAGES = ("train_full", "train_lora", "train_adapter")
PROCESSES = re.compile(r"--(?:nproc[-_]per[-_]node|num[-_]processes)[= ](\d+)(?: |$)")


def main(arguments: Sequence[str]) -> None:
    """Become the launcher: this process is replaced, so that signals and the exit status are the launcher's.

    Raises:
        UserError: no such stage or launcher, or what `load_params` and `share_batch` refuse.
    """
    if len(arguments) != 1 or arguments[0] not in STAGES:
        raise UserError(f"the name of one stage was expected, {', '.join(STAGES)}; received {' '.join(arguments) or 'none'}")
    params = load_params()
    check_sharing(params)
    program, *options = shlex.split(params.train.launcher)
    program = sys.executable if program == "python" else str(Path(sys.executable).with_name(program))
    try:
        os.execv(program, [program, *options, "-m", f"stages.{arguments[0]}"])
    except FileNotFoundError:
        raise UserError(f"train.launcher: {program} is not installed, received {params.train.launcher!r}; use python") from None


def check_sharing(params: Params) -> None:
    """Refuse a batch that the processes cannot share, as far as the launcher's options say how many there are."""
    train = params.train
    if given := PROCESSES.search(train.launcher):
        share_batch(train.batch_size, 1 if train.micro_batch_size == "auto" else train.micro_batch_size, int(given[1]) or 1)


if __name__ == "__main__":
    with report_errors():
        main(sys.argv[1:])
