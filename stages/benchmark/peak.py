"""Peak memory of training steps, measured in a new process per method, in which no other method has left memory."""

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
from torch import nn
from transformers import PreTrainedConfig

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

# glibc returns blocks of at least this size (bytes) to the system as soon as they are freed. By default it keeps them, and the
# peak includes the gaps that the order of the calls leaves: up to 70 percent more, and different each time.
_MMAP_THRESHOLD = "131072"
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def measure_peak(
    method: str, params: Params, labels: list[str], batching: Batching, length: int, device: torch.device
) -> dict[str, float]:
    """Return the peak training memory of `method` in MiB, for the micro-batches of `batching` with `length` tokens.

    Keys: peak_mib, without AWP; peak_awp_mib, with it. On a CPU: the highest resident memory during the step minus that before
    the model was built, in a process whose allocator does not keep freed tensors. On CUDA: memory allocated by tensors, and
    under two more keys (peak_reserved_mib, peak_awp_reserved_mib) what PyTorch's allocator reserved.

    Raises:
        UserError: the process was killed, most likely because memory ran out.
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
    """Set environment variables for the processes that are started inside."""
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
    meter: CudaMeter | ResidentMeter = CudaMeter(device) if device.type == "cuda" else ResidentMeter()
    model: nn.Module = build(method_of(method), params, labels)
    model.to(device)
    if params.train.gradient_checkpointing:
        recompute_activations(model)
    step = TrainingStep(model, params.train.max_grad_norm, params.awp.epsilon)
    config = model.config
    assert isinstance(config, PreTrainedConfig)
    inputs = RandomInputs(config.vocab_size, len(labels), params.seed, device)
    size = batching.micro_batch_size
    short, long = ((inputs.batch(size, tokens), inputs.labels(size)) for tokens in (min(SHORTEST, length), length))
    step.take([short], awp=False)  # creates the optimizer's state
    # where micro-batches are accumulated, all but the first are computed while gradients already exist
    micro_batches = [long] if batching.accumulation_steps == 1 else [short, long]
    peaks: dict[str, float] = {}
    for name, awp in (("peak", False), ("peak_awp", True)):
        meter.reset()
        step.take(micro_batches, awp=awp)
        peaks |= {f"{name}{suffix}_mib": value / MIB for suffix, value in meter.peaks().items()}
    return peaks


class ResidentMeter:
    """Highest resident memory of this process in bytes since `reset`, minus the resident memory at construction.

    On Linux it is read from /proc, because `ru_maxrss` there starts at the peak of the parent process. Elsewhere it is
    `ru_maxrss`. Where the peak cannot be reset, it includes that of loading the model.
    """

    def __init__(self) -> None:
        self.baseline = self._read("VmRSS")

    def reset(self) -> None:
        with contextlib.suppress(OSError):  # only Linux has this file, and some containers forbid writing to it
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
