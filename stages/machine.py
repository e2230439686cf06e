"""What a timing was taken on: device, processor, threads, versions, and the hash of the base model."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def pick_device() -> torch.device:
    """The first CUDA device if there is one, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """Name the hardware and the versions that a timing depends on; nothing that names the machine or its user."""
    description = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return description | {package: version(package) for package in ("torch", "transformers", "peft")}


def busy_note(load_average: float, threads: int) -> str | None:
    """A remark if over a minute more than one thread beside our own `threads` was running or waiting to run.

    Interleaving cannot mend that: threads that wait for each other after every operation lose a whole time slice whenever one
    of them has to queue, and a method with more operations loses more often.
    """
    if load_average <= threads + 1:
        return None
    return (
        f"note: load average {load_average:.1f} while {threads} thread(s) were measured: other programs were running too. "
        "For clean timings run `dvc repro --force --single-item benchmark` on an idle machine."
    )


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as the kernel reports it, or what Python knows where there is no such file."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the safetensors weights in `folder`; of their concatenation in order of name where there are several."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()
