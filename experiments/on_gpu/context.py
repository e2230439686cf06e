"""The GPU itself: its name, and what PyTorch occupies on it before any tensor."""

import contextlib
import gc
import os
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from stages.memory.budget import RESERVE_MIB
from stages.memory.predict import MIB
from stages.project.errors import UserError
from stages.project.machine import describe_machine
from stages.project.schema import Params


def measure_context(device: torch.device) -> float:
    """Return in MiB what the CUDA context and its kernels take on `device`: used memory without that of the allocator.

    It is the growth of the memory in use, as the driver tells it, from before this process used the GPU to after a matrix product
    in each precision has loaded the libraries. No other program may run on the GPU.
    """
    before = used_mib()
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        square = torch.ones(1024, 1024, device=device, dtype=dtype)
        square @ square
    torch.cuda.synchronize(device)
    return used_mib() - before - torch.cuda.memory_reserved(device) / MIB


@contextlib.contextmanager
def leaving_room(what: str) -> Iterator[None]:
    """Free the GPU's memory after the block; if it ran out there, say that `what` is left out."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        print(f"{what} is left out: it does not fit on this GPU, all methods at once", flush=True)
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def used_mib() -> float:
    """Memory in use on the first GPU in MiB, by any program.

    Raises:
        UserError: the driver's program does not say.
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", f"--id={first}"]
    try:
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UserError(f"{' '.join(command)}: the memory in use cannot be read ({type(error).__name__}: {error})") from None


def described(params: Params, device: torch.device, context_mib: float) -> dict[str, Any]:
    """What the numbers depend on: machine, versions, and the sizes in `params`."""
    capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
    return {
        **describe_machine(device),
        "memory_gib": round(torch.cuda.get_device_properties(device).total_memory / 2**30, 1),
        "compute_capability": capability,
        "cuda": torch.version.cuda,
        "bitsandbytes": _version("bitsandbytes"),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "context_mib": round(context_mib, 1),
        "reserve_mib": RESERVE_MIB,
        "budget_gib": params.train.memory_budget_gib,
        "rank": params.peft.rank,
        "bottleneck": params.peft.bottleneck,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
