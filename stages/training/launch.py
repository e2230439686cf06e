"""Start a training with `train.launcher` of params.yaml: one process, or several under torchrun, accelerate or srun.

params.yaml, and whether the processes can share the batch, are checked first, so that a mistake is reported once and not by
every process. The launcher's text never reaches a shell.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from stages.memory.batching import share_batch
from stages.project.errors import UserError
from stages.project.parameters import load_params
from stages.project.processes import adopt_srun, forget_launcher, is_launched, require_one_process
from stages.project.running import report_errors
from stages.project.schema import Params
from stages.training.sharding_options import check_sharding, plain_options

LAUNCHED = "TRAIN_LAUNCHED"  # environment variable: the program with which `launch` started this process
PER_NODE = re.compile(r"--nproc[-_]per[-_]node[= ](\d+)(?: |$)")
NODES = re.compile(r"--nnodes[= ](\d+)(?: |$)")
TOTAL = re.compile(r"(?:--num[-_]processes[= ]|--ntasks[= ]|(?<= )-n ?)(\d+)(?: |$)")


def launch(stage: str) -> None:
    """Replace this process by the launcher, which runs `python -m stages.{stage}` in its processes.

    It returns at once in one of those processes, or if the launcher is python: the caller then trains. What a cluster set in
    the environment for processes of its own does not count, see `require_one_process`. Because the process is
    replaced, signals reach the launcher, and its exit status is the stage's. An error in params.yaml ends the process in one
    message.
    """
    with report_errors():
        if os.environ.get(LAUNCHED) == "srun":
            adopt_srun()
        if os.environ.get(LAUNCHED) or is_launched():
            return
        params = load_params()
        check_sharing(params)
        check_sharding(stage, params)
        program, *options = shlex.split(params.train.launcher)
        if program == "python":
            require_one_process()
            return
        forget_launcher()
        os.environ[LAUNCHED] = program
        command = command_of(program, options, params.train.launcher)
        os.execv(command[0], [*command, "-m", f"stages.{stage}"])


def command_of(program: str, options: list[str], received: str) -> list[str]:
    """The command that starts the processes, up to the module that they run.

    torchrun and accelerate are those of this Python, see `stages.training.agent`; srun is that of the machine, and stops all
    tasks when one fails.

    Raises:
        UserError: the program is not installed; `received` is what the user asked for.
    """
    if program == "srun":
        if path := shutil.which(program):
            return [path, "--kill-on-bad-exit=1", *options, sys.executable]
    elif Path(sys.executable).with_name(program).exists():
        return [sys.executable, "-m", "stages.training.agent", program, *plain_options(options)]
    raise UserError(f"train.launcher: {program} is not installed, received {received!r}; use python")


def processes_of(launcher: str) -> int | None:
    """How many processes the launcher's options start, on all nodes together; None if they do not say.

    torchrun counts per node, accelerate and srun all. A range of nodes (--nnodes=1:2) does not say.
    """
    if match := TOTAL.search(launcher):
        return int(match[1])
    nodes = NODES.search(launcher)
    if (match := PER_NODE.search(launcher)) and (nodes or "--nnodes" not in launcher):
        return int(match[1]) * (int(nodes[1]) if nodes else 1)
    return None


def check_sharing(params: Params) -> None:
    """Refuse a batch that the processes cannot share, if the launcher's options say how many there are."""
    train, processes = params.train, processes_of(params.train.launcher)
    if processes == 0:
        raise UserError(f"train.launcher: it must start at least one process, received {train.launcher!r}")
    if processes:
        share_batch(train.batch_size, 1 if train.micro_batch_size == "auto" else train.micro_batch_size, processes)
