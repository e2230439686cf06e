"""Peak memory of training steps, measured in a fresh process per method so that none inherits another's leavings."""

import contextlib
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from stages.benchmark.training_step import TrainingStep
from stages.classifier.quiet import quiet_libraries
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, SHORTEST
from stages.memory.recompute import recompute_activations
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.schema import Params

# Blocks of this size (bytes) or more glibc then gives back as soon as they are freed. Left to itself it keeps them, and the
# peak holds whatever gaps the order of the calls happened to leave: up to 70 percent more, and not the same twice.
_MMAP_THRESHOLD = "131072"
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def measure_peak(
    method: str, params: Params, labels: list[str], batching: Batching, length: int, device: torch.device
) -> dict[str, float]:
    """Return the peak training memory of `method` in MiB, for the micro-batches of `batching` with `length` tokens.

    Keys: peak_training_memory_mib, without AWP; peak_training_memory_awp_mib, with it. On a CPU: resident memory at its
    highest during the step, less what was resident before the model was built, in a process whose allocator keeps no
    freed tensor. On CUDA: memory allocated by tensors, and under two more keys (..._reserved_mib) what PyTorch's allocator
    had reserved for them.

    Raises:
        UserError: the process was killed, most likely for want of memory.
    """
    context = multiprocessing.get_context("spawn")
    arguments = (method, params, labels, batching, length, device, torch.get_num_threads())
    with _environment(MALLOC_MMAP_THRESHOLD_=_MMAP_THRESHOLD), ProcessPoolExecutor(1, mp_context=context) as executor:
        try:
            return executor.submit(_peak_of_steps, *arguments).result()
        except BrokenProcessPool:
            raise UserError(
                f"benchmark: the process measuring the memory of {method!r} was killed, most likely out of memory, at "
                f"{batching.micro_batch_size} texts of {length} tokens; lower train.micro_batch_size or data.max_length"
            ) from None


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables for the processes started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@quiet_libraries()
def _peak_of_steps(
    method: str, params: Params, labels: list[str], batching: Batching, length: int, device: torch.device, threads: int
) -> dict[str, float]:
    torch.set_num_threads(threads)
    meter = CudaMeter(device) if device.type == "cuda" else ResidentMeter()
    model = build(method_of(method), params, labels).to(device)
    if params.train.gradient_checkpointing:
        recompute_activations(model)
    step = TrainingStep(model, params.train.max_grad_norm, params.awp.epsilon)
    inputs = RandomInputs(model.config.vocab_size, len(labels), params.seed, device)
    size = batching.micro_batch_size
    short, long = ((inputs.batch(size, tokens), inputs.labels(size)) for tokens in (min(SHORTEST, length), length))
    step.take([short], awp=False)  # creates the optimizer's state
    # where micro-batches are accumulated, all but the first meet the gradients of those before
    micro_batches = [long] if batching.accumulation_steps == 1 else [short, long]
    peaks = {}
    for name, awp in (("peak_training_memory", False), ("peak_training_memory_awp", True)):
        meter.reset()
        step.take(micro_batches, awp=awp)
        peaks |= {f"{name}{suffix}_mib": value / MIB for suffix, value in meter.peaks().items()}
    return peaks


class ResidentMeter:
    """Highest resident memory of this process in bytes since `reset`, less what was resident at construction.

    On Linux it is read from /proc, since `ru_maxrss` there begins with the peak of the parent process. Elsewhere it is
    `ru_maxrss`. Where the peak cannot be reset it includes that of loading the model.
    """

    def __init__(self):
        self.baseline = self._read("VmRSS")

    def reset(self) -> None:
        with contextlib.suppress(OSError):  # some containers forbid it, and only Linux has it
            _CLEAR_REFS.write_text("5")  # sets VmHWM to VmRSS

    def peaks(self) -> dict[str, int]:
        return {"": self._read("VmHWM") - self.baseline}

    @staticmethod
    def _read(field: str) -> int:
        if not _STATUS.exists():
            unit = 1 if sys.platform == "darwin" else 1024
            return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return 1024 * int(lines[field].removesuffix("kB"))


class CudaMeter:
    """Highest memory of PyTorch on a CUDA device in bytes since `reset`, allocated and reserved."""

    def __init__(self, device: torch.device):
        self.device = device

    def reset(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.device)

    def peaks(self) -> dict[str, int]:
        return {
            "": torch.cuda.max_memory_allocated(self.device),
            "_reserved": torch.cuda.max_memory_reserved(self.device),
        }
