"""Which process of a distributed training this is, as torchrun, accelerate and srun say in the environment."""

import os
import signal
import subprocess
import time
from collections.abc import MutableMapping

from stages.project.errors import UserError

# what torchrun and accelerate set in each process that they start, all five of them
SET_BY_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# what PyTorch and accelerate read: a process with one of these may be taken for one of several
INDEX = ("RANK", "LOCAL_RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
         "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK")  # fmt: skip
COUNT = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
         "SLURM_STEP_NUM_TASKS", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE")  # fmt: skip

PATIENCE = 10.0  # seconds; longer than processes that were started together are apart


def process_count() -> int:
    """The number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """The rank of this process, counted from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this is rank 0, the process that writes results and prints."""
    return process_index() == 0


def is_node_leader() -> bool:
    """Whether this is the first process on its machine; without a launcher it is. Rank 0 is one of these."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def let_the_first_speak() -> None:
    """Call it before this process ends with a message: the first process on its machine comes first.

    A fault that all processes have is told once, by the first: the launcher then ends the others, here. Without the wait one
    that is faster would end, and the launcher end the first before it has said a word. A fault that only this process has is told
    by itself, when the wait is over.
    """
    if is_launched() and not is_node_leader():
        signal.signal(signal.SIGTERM, lambda number, frame: os._exit(1))  # failed, as the first; srun would report the signal
        time.sleep(PATIENCE)


def adopt_srun(environment: MutableMapping[str, str] = os.environ) -> None:
    """Give a task of SLURM's `srun` the names that PyTorch reads; those of another launcher are replaced.

    RANK is SLURM_PROCID, WORLD_SIZE is SLURM_STEP_NUM_TASKS and LOCAL_RANK is SLURM_LOCALID. All tasks meet at the first host of
    the step (SLURM gives it task 0), on a port that follows from the numbers of job and step, so that two steps on one host do
    not meet; MASTER_ADDR and MASTER_PORT that are set already stay.

    Raises:
        UserError: the process is no task of srun.
    """
    names = {"RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID", "WORLD_SIZE": "SLURM_STEP_NUM_TASKS"}
    if missing := [name for name in (*names.values(), "SLURM_JOB_ID", "SLURM_STEP_ID") if name not in environment]:
        raise UserError(f"train.launcher: srun set no {', '.join(missing)} in the process that it started; use another launcher")
    environment.update({name: environment[of_slurm] for name, of_slurm in names.items()})
    # below the ports that Linux hands out by itself (32768 and above)
    port = 12_000 + (97 * int(environment["SLURM_JOB_ID"]) + int(environment["SLURM_STEP_ID"])) % 20_000
    environment.setdefault("MASTER_PORT", str(port))
    if "MASTER_ADDR" not in environment:
        environment["MASTER_ADDR"] = _first_host(environment.get("SLURM_STEP_NODELIST", ""))


def _first_host(nodes: str) -> str:
    """The first host of SLURM's list, as in node[03-07],other: SLURM itself reads it."""
    try:
        done = subprocess.run(["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True)
        return done.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        raise UserError(
            f"train.launcher: scontrol could not name the first host of SLURM_STEP_NODELIST={nodes!r}; set MASTER_ADDR to it"
        ) from None


def is_launched() -> bool:
    """Whether a launcher started this process: a cluster that sets some of the variables has not."""
    return all(name in os.environ for name in SET_BY_LAUNCHERS)


def forget_launcher() -> None:
    """Remove what this or another program's launcher left in the environment: from here on this process is the only one."""
    for name in (*INDEX, *COUNT):
        os.environ.pop(name, None)


def require_one_process() -> None:
    """Refuse variables that say that other processes train too, where no launcher has started any; then forget them.

    A pod of a cluster or a job of a scheduler may have them. A training that believed them would wait for the others, or take
    another process for the one that writes.

    Raises:
        UserError: a variable says that there are several processes, or that this is not the first.
    """
    wrong = [name for name in INDEX if os.environ.get(name, "0") != "0"]
    wrong += [name for name in COUNT if os.environ.get(name, "1") != "1"]
    if wrong:
        received = ", ".join(f"{name}={os.environ[name]}" for name in wrong)
        raise UserError(
            f"environment: {received} says that several processes train, but train.launcher of params.yaml is python, which "
            f"starts one; remove it (unset {' '.join(wrong)}), or start several with train.launcher: torchrun ..."
        )
    forget_launcher()
