"""Processes of one training on several machines: they must have the same inputs, share one state, and end together."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import NoReturn

import torch
import torch.distributed as dist
from accelerate.utils import broadcast_object_list, gather_object

from stages.project.errors import UserError
from stages.project.processes import is_launched, let_the_first_speak, process_count, process_index
from stages.training.save_point import Saved

TIMEOUT = "TRAIN_TIMEOUT_SECONDS"  # environment variable: how long a process waits for the others; does not change results
# What PyTorch's libraries say when a connection breaks; they have no class of their own for it
OF_A_LOSS = ("gloo", "NCCL", "Application timeout", "Connection closed", "Connection reset", "Timed out waiting")
# Inputs that may differ between machines: these describe the machine, or how the processes find each other
OF_A_MACHINE = ("machine ", "environment ", "parameter train.launcher")


def timeout_seconds() -> int:
    """Seconds that a process waits for another in one exchange, 600 by default.

    A process that ends closes its connections, and the others notice at once. One whose machine or cable is gone is noticed
    only by this time.

    Raises:
        UserError: the environment variable is no whole number of seconds.
    """
    received = os.environ.get(TIMEOUT, "600")
    if not received.isdecimal() or not int(received):
        raise UserError(f"environment variable {TIMEOUT}: a whole number of seconds, 1 or more, is needed, received {received!r}")
    return int(received)


def join_others(device: torch.device) -> None:
    """Connect the processes of a training on CPUs with the timeout that the user set: the library passes it on for GPUs only."""
    if is_launched() and device.type == "cpu" and not dist.is_initialized():
        dist.init_process_group("gloo", timeout=timedelta(seconds=timeout_seconds()))


@contextmanager
def ending_together() -> Iterator[None]:
    """End this process in one message if another one is gone: the first process on each machine says so."""
    try:
        yield
    except (RuntimeError, ValueError) as error:  # a lost process is a RuntimeError of PyTorch or of gloo
        if process_count() == 1 or not is_loss(error):
            raise
        _end(error)


def is_loss(error: BaseException) -> bool:
    """Whether `error` says that the connection to another process broke or that it did not answer in time."""
    return isinstance(error, dist.DistError) or any(words in str(error) for words in OF_A_LOSS)


def _end(error: BaseException) -> NoReturn:
    let_the_first_speak()
    print(
        f"error: rank {process_index()} lost the connection to another process of the training, which was killed, ended with "
        f"an error of its own or is out of reach ({str(error).strip().splitlines()[0]}); start the training again on all "
        "nodes: it goes on from the last save point",
        file=sys.stderr,
        flush=True,
    )
    sys.stdout.flush()
    os._exit(1)  # an orderly exit would wait for the process that is gone


def require_same_inputs(inputs: Mapping[str, str]) -> None:
    """Check that all processes train the same model on the same data with the same code.

    Each machine may have a checkout of its own, and nothing else would notice that one is older: the weights would mix.

    Args:
        inputs: see `stages.project.provenance.stage_inputs`. What describes the machine may differ.

    Raises:
        UserError: on all machines; it names what differs and the ranks on which it does.
    """
    if process_count() == 1:
        return
    own = {name: value for name, value in inputs.items() if not name.startswith(OF_A_MACHINE)}
    first, *others = gather_object([own])
    differing = {
        rank: sorted(name for name in first.keys() | other.keys() if first.get(name) != other.get(name))
        for rank, other in enumerate(others, start=1)
    }
    if told := [f"{', '.join(names)} on rank {rank}" for rank, names in differing.items() if names]:
        raise UserError(
            f"the machines do not train the same: unlike on rank 0 is {'; '.join(told)}; bring the checkouts to the same commit "
            "(git pull) and the same data (dvc pull fetch prepare)"
        )


def share_saved(saved: Saved | None, device: torch.device) -> Saved | None:
    """Return the state that goes furthest among those that the processes read from their disks: one disk suffices.

    Of several processes, that with the highest optimizer step, and of those the lowest rank, sends its state to all others.
    """
    if process_count() == 1:
        return saved
    steps = gather_object([-1 if saved is None else saved.state["trainer"]["global_step"]])
    if max(steps) < 0:
        return None
    sender = steps.index(max(steps))
    own = saved if process_index() == sender else None
    (content,) = broadcast_object_list(
        [own and (own.state, [(name, value.shape, value.dtype) for name, value in own.tensors.items()])], from_process=sender
    )
    state, shapes = content
    tensors = {}
    for name, shape, dtype in shapes:
        tensor = own.tensors[name].to(device) if own else torch.empty(shape, dtype=dtype, device=device)
        dist.broadcast(tensor, sender)
        tensors[name] = tensor.cpu()
    return Saved(tensors, state)
