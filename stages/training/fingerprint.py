"""Everything that determines the bytes of a training, as DVC knows it and beyond."""

import hashlib
import platform
from functools import reduce
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from stages.config import Params
from stages.machine import describe_machine, pick_device

PIPELINE = Path("dvc.yaml")
# what computes, draws random numbers, or decides the order of operations
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "numpy", "safetensors")


def training_inputs(stage: str, params: Params) -> dict[str, str]:
    """Return a name and a value for each thing on which the result of `stage` depends.

    These are the parameters and the files that dvc.yaml lists for the stage (a SHA-256 for a file, and for a folder over
    its files; a test compares that list with the imports), the versions of the packages that compute, and the machine
    with its number of threads: another one may round differently.
    """
    definition = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"][stage]
    inputs = {f"parameter {key}": repr(reduce(getattr, key.split("."), params)) for key in definition["params"]}
    inputs |= {path: content_hash(Path(path)) for path in definition["deps"]}
    inputs |= {f"package {name}": version(name) for name in PACKAGES}
    inputs |= {f"machine {key}": str(value) for key, value in describe_machine(pick_device()).items()}
    # which vector instructions the kernels use
    return inputs | {"machine kernels": torch.backends.cpu.get_cpu_capability(), "machine libc": "-".join(platform.libc_ver())}


def content_hash(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and hashes of its files in order of name; "absent" if there is none."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {content_hash(file)}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    if not path.is_file():
        return "absent"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
