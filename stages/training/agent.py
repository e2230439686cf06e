"""python -m stages.training.agent torchrun|accelerate OPTIONS -m MODULE

Runs torchrun or accelerate's launcher in this process, and ends in one message where they would end in several tracebacks.
The processes that they start have said what was wrong; only one that was killed could not.
"""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from accelerate.commands.accelerate_cli import main as accelerate
from torch.distributed import DistError
from torch.distributed import run as distributed
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import RendezvousError

from stages.project.parent import end_with_dvc

PROGRAMS = ("torchrun", "accelerate")


def torchrun() -> None:
    """What the command `torchrun` does with sys.argv, without its wrapper, which prints tracebacks."""
    distributed.run(distributed.parse_args(sys.argv[1:]))


def run(launcher: Callable[[], None], received: str) -> None:
    """Run `launcher`; end this process with a message and a status if it fails.

    Args:
        received: what the user asked for, for the message.
    """
    try:
        launcher()
    except ChildFailedError as error:
        sys.exit(lost(error.failures))
    except subprocess.CalledProcessError as error:  # accelerate with one process
        sys.exit(error.returncode)
    except SignalException as error:  # the processes were stopped first
        end_by(error.sigval)
    except (RendezvousError, DistError, TimeoutError) as error:
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        sys.exit(
            f"error: train.launcher: the processes of all nodes did not meet ({reason}), received {received!r}; start it on each "
            "node, with the same address and port, which the nodes must be able to reach"
        )
    except ValueError as error:  # what the launcher's own parser lets pass, such as --nproc-per-node=two
        sys.exit(f"error: train.launcher: an option has a value that it cannot have ({error}), received {received!r}")


def lost(failures: Mapping[int, ProcessFailure]) -> int | str:
    """The status to end with after processes failed, by rank: a message if one was killed, which could say nothing itself."""
    first = min(failures, key=lambda rank: failures[rank].timestamp)
    status = failures[first].exitcode
    if status >= 0:
        return 1
    name = signal.Signals(-status).name
    hint = "; Linux kills a process when memory runs out: see dmesg" if name == "SIGKILL" else ""
    return f"error: the process of rank {first} was killed ({name}), and the others were stopped{hint}"


def end_by(number: signal.Signals) -> NoReturn:
    """End as `number` ends a process, so that a shell or DVC sees that it was stopped."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    sys.exit(128 + number)


if __name__ == "__main__":
    program = sys.argv[1]
    sys.argv = sys.argv[1:]
    # what went wrong is told once, by the process in which it did
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    end_with_dvc()
    run({"torchrun": torchrun, "accelerate": accelerate}[program], " ".join(sys.argv))
