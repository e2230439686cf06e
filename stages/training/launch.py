"""Start a training with `train.launcher` of params.yaml: one process, or several under torchrun or accelerate.

params.yaml, and whether the processes can share the batch, are checked first, so that a mistake is reported once and not by
every process. The launcher's text never reaches a shell.
"""

import os
import re
import shlex
import sys
from pathlib import Path

from stages.memory.batching import share_batch
from stages.project.errors import UserError
from stages.project.parameters import load_params
from stages.project.processes import forget_launcher, is_launched, require_one_process
from stages.project.running import report_errors
from stages.project.schema import Params

LAUNCHED = "TRAIN_LAUNCHED"  # environment variable: this process was started by `launch`
PROCESSES = re.compile(r"--(?:nproc[-_]per[-_]node|num[-_]processes)[= ](\d+)(?: |$)")


def launch(stage: str) -> None:
    """Replace this process by the launcher, which runs `python -m stages.{stage}` in its processes.

    It returns at once in one of those processes, or if the launcher is python: the caller then trains. What a cluster set in
    the environment for processes of its own does not count, see `require_one_process`. Because the process is
    replaced, signals reach the launcher, and its exit status is the stage's. An error in params.yaml ends the process in one
    message.
    """
    with report_errors():
        if os.environ.get(LAUNCHED) or is_launched():
            return
        params = load_params()
        check_sharing(params)
        program, *options = shlex.split(params.train.launcher)
        if program == "python":
            require_one_process()
            return
        forget_launcher()
        os.environ[LAUNCHED] = "1"
        path = str(Path(sys.executable).with_name(program))
        try:
            os.execv(path, [path, *options, "-m", f"stages.{stage}"])
        except FileNotFoundError:
            received = repr(params.train.launcher)
            raise UserError(f"train.launcher: {path} is not installed, received {received}; use python") from None


def check_sharing(params: Params) -> None:
    """Refuse a batch that the processes cannot share, if the launcher's options say how many there are."""
    train = params.train
    if match := PROCESSES.search(train.launcher):
        share_batch(train.batch_size, 1 if train.micro_batch_size == "auto" else train.micro_batch_size, int(match[1]) or 1)
