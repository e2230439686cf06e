"""What a result was computed on: device, processor, threads and versions."""

import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it takes seconds to import, and `fetch` does without
    import torch

# lines of /proc/cpuinfo that say which processor it is, on x86 and on ARM; and how its instructions for vectors are called
IDENTITY = ("vendor_id", "cpu family", "model", "stepping",
            "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision")  # fmt: skip
VECTOR = re.compile(r"avx|amx|fma|f16c|s?sse|asimd|sve|sme(?!p)|bf16|i8mm|fphp")


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
    return _first_processor(cpuinfo).get("model name") or platform.processor() or platform.machine()


def cpu_identity(cpuinfo: Path = Path("/proc/cpuinfo"), caches: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> str:
    """Return what the libraries choose their kernels and block sizes by, as far as the kernel tells it; "" where it does not.

    Vendor, family, model and stepping, the vector instructions, and the sizes of the caches. The name alone does not do: two
    machines that call themselves alike can be of different families, and a virtual machine may hide instructions.
    """
    processor = _first_processor(cpuinfo)
    found = [f"{key} {processor[key]}" for key in IDENTITY if key in processor]
    flags = processor.get("flags", processor.get("Features", "")).split()
    if vector := sorted(flag for flag in flags if VECTOR.match(flag)):
        found.append(" ".join(vector))
    sizes = [size.read_text(encoding="ascii").strip() for size in sorted(caches.glob("index*/size"))]
    return "; ".join([*found, f"caches {' '.join(sizes)}"] if sizes else found)


def _first_processor(cpuinfo: Path) -> dict[str, str]:
    """What the kernel says of the first processor, by key."""
    if not cpuinfo.is_file():
        return {}
    first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    pairs = [line.partition(":") for line in first.splitlines()]
    return {key.strip(): value.strip() for key, _, value in pairs}
