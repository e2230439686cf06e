"""What a result was computed on: device, processor, threads and versions."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it takes seconds to import, and `fetch` does without
    import torch


def pick_device() -> "torch.device":
    """The first CUDA device if there is one, else the CPU."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def describe_machine(device: "torch.device") -> dict[str, str | int]:
    """Return the hardware and the versions that a timing depends on; nothing that identifies the machine or its user."""
    import torch

    description: dict[str, str | int] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return description | {package: version(package) for package in ("torch", "transformers", "peft")}


def machine_in_words() -> str:
    """Return processor, cores that this process may use, and the GPU if the process has loaded what would use it."""
    available = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    words = f"{cpu_model()}, {counted(len(available), 'core')}"
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        words += f", {counted(int(threads), 'thread')}"
    torch = sys.modules.get("torch")
    return f"{torch.cuda.get_device_name(0)} with {words}" if torch and torch.cuda.is_available() else words


def counted(number: int, thing: str) -> str:
    """A number with its noun: 1 core, 2 cores."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as the kernel reports it, or what Python knows where there is no such file."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
