"""Which process of a distributed training this is, as torchrun and accelerate say in the environment."""

import os

from stages.project.errors import UserError

# what torchrun and accelerate set in each process that they start, all five of them
SET_BY_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# what PyTorch and accelerate read: a process with one of these may be taken for one of several
INDEX = ("RANK", "LOCAL_RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID",
         "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK")  # fmt: skip
COUNT = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS",
         "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE")  # fmt: skip


def process_count() -> int:
    """The number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """The rank of this process, counted from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this is rank 0, the process that writes results and prints."""
    return process_index() == 0


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
