"""Peak memory of training steps, measured in a new process per method, in which no other method has left memory."""

import contextlib
import gc
import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedConfig

from stages.benchmark.training_step import TrainingStep
from stages.classifier.faster.allocator import return_freed_memory
from stages.classifier.quiet import quiet_libraries
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, SHORTEST
from stages.memory.recompute import recompute_activations
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.schema import METHODS, Params

# glibc returns blocks of at least this size (bytes) to the system as soon as they are freed. By default it keeps them, and the
# peak includes the gaps that the order of the calls leaves: up to 70 percent more, and different each time.
_MMAP_THRESHOLD = "131072"
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@contextlib.contextmanager
def peaks_measured(
    params: Params, labels: list[str], batching: Batching, length: int, device: torch.device
) -> Iterator[Callable[[], dict[str, dict[str, float]]]]:
    """Measure the peak training memory of every method while the block runs; yield a function that waits for the numbers.

    They are in MiB, by method, for the micro-batches of `batching` with `length` tokens. Keys: peak_mib, without AWP;
    peak_awp_mib, with it. On a CPU: the highest resident memory of a step that belongs to no file, minus that before the model
    was built, in a process whose allocator does not keep freed tensors. On CUDA: memory allocated by tensors, and under two more
    keys (peak_reserved_mib, peak_awp_reserved_mib) what PyTorch's allocator reserved.

    One process after the other is forked from a server that has loaded the libraries once.

    Raises:
        UserError: by the yielded function; a process was killed, most likely because memory ran out.
    """
    with _environment(MALLOC_MMAP_THRESHOLD_=_MMAP_THRESHOLD), ThreadPoolExecutor(1) as thread:
        measure = partial(_in_new_process, params, labels, batching, length, device, torch.get_num_threads())
        yield thread.submit(lambda: {method: measure(method) for method in METHODS}).result


def _in_new_process(
    params: Params, labels: list[str], batching: Batching, length: int, device: torch.device, threads: int, method: str
) -> dict[str, float]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as executor:
        try:
            return executor.submit(_peak_of_steps, method, params, labels, batching, length, device, threads).result()
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
    _leave_the_file(model)
    if params.train.gradient_checkpointing:
        recompute_activations(model)
    step = TrainingStep(model, params.train.max_grad_norm, params.awp, params.train.precision)
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
        peaks |= {f"{name}{suffix}_mib": _positive(value, method) / MIB for suffix, value in meter.peaks().items()}
    return peaks


def _positive(peak: int, method: str) -> int:
    """Return a peak in bytes, or refuse one that is 0 or less: a step needs memory, so it was not measured."""
    if peak <= 0:
        raise UserError(
            f"benchmark: the memory of a training step of {method!r} cannot be measured here: its peak is {peak / MIB:.1f} MiB "
            "above what the process held before the model was built, and must be more than 0"
        )
    return peak


@torch.no_grad()
def _leave_the_file(model: nn.Module) -> None:
    """Copy the weights into memory of their own: as long as they are not written, they are pages of the checkpoint's file."""
    for weight in model.parameters():
        weight.data = weight.data.clone()


class ResidentMeter:
    """Highest resident memory of this process in bytes since `reset`, minus that at construction.

    Pages of files do not count: they are the libraries' code, read when it first runs, 20 to 40 MiB in the first step. On Linux
    all is read from /proc, because `ru_maxrss` there starts at the peak of the parent process. Elsewhere it is `ru_maxrss`, and
    files count. Where the peak cannot be reset, it includes that of loading the model. What the process has freed before is
    returned to the system first: a step that took it again would seem to need nothing.
    """

    def __init__(self) -> None:
        gc.collect()
        return_freed_memory()
        self.baseline = self._read("VmRSS") - self._read("RssFile", 0)

    def reset(self) -> None:
        with contextlib.suppress(OSError):  # only Linux has this file, and some containers forbid writing to it
            _CLEAR_REFS.write_text("5")  # sets VmHWM to VmRSS

    def peaks(self) -> dict[str, int]:
        return {"": self._read("VmHWM") - self._read("RssFile", 0) - self.baseline}

    @staticmethod
    def _read(field: str, otherwise: int | None = None) -> int:
        """Bytes of `field` in /proc; where there is none, `otherwise`, or `ru_maxrss` if that is None."""
        if not _STATUS.exists():
            unit = 1 if sys.platform == "darwin" else 1024
            return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if otherwise is None else otherwise
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
