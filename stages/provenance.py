"""Where results come from: everything that determines them, and the commit that holds the code."""

import hashlib
import platform
import subprocess
from functools import reduce
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from stages.config import Params
from stages.errors import UserError
from stages.files import write_json
from stages.machine import describe_machine, pick_device
from stages.paths import PARAMS, PIPELINE, PROVENANCE
from stages.processes import process_count

# what computes, draws random numbers, or decides the order of operations
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "numpy", "safetensors")


def stage_inputs(stage: str, params: Params) -> dict[str, str]:
    """Return a name and a value for each thing on which the bytes that `stage` writes depend.

    These are the parameters and the files that dvc.yaml lists for the stage (a SHA-256 for a file, and for a folder over
    its files; a test compares that list with the imports), the versions of the packages that compute, and the machine
    with its number of threads: another one may round differently.

    Raises:
        UserError: there is no dvc.yaml, or it does not name the stage.
    """
    try:
        definition = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"][stage]
    except (OSError, KeyError) as error:
        raise UserError(f"{PIPELINE}: no stage {stage} is defined there; run the command in the project's folder") from error
    inputs = {f"parameter {key}": repr(reduce(getattr, key.split("."), params)) for key in definition["params"]}
    inputs |= {path: content_hash(Path(path)) for path in definition["deps"]}
    inputs |= {f"package {name}": version(name) for name in PACKAGES}
    inputs |= {f"machine {key}": str(value) for key, value in describe_machine(pick_device()).items()}
    inputs |= {"machine processes": str(process_count())}
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


def origin(stage: str, params: Params) -> dict:
    """Return the commit and the inputs of `stage` as they are now: to be called before it computes.

    Keys: revision, the last commit that changed a module among the inputs or the requirements; uncommitted, those of them,
    or of params.yaml and dvc.yaml, that stand in no commit as they are; inputs (`stage_inputs`). The revision is not simply
    HEAD: a commit of results alone, of another stage's code or of its part in params.yaml and dvc.yaml leaves it as it is,
    and so the same run has the same record. Outside a git repository the first two are None.
    """
    inputs = stage_inputs(stage, params)
    code = ["requirements.txt", *(name for name in inputs if name.startswith("stages/"))]
    revision = _git("log", "-1", "--format=%H", "--", *code)
    changed = _git("status", "--porcelain", "--no-renames", "--", *code, str(PARAMS), str(PIPELINE))
    uncommitted = None if changed is None else sorted(line[3:] for line in changed.splitlines())
    return {"revision": revision or None, "uncommitted": uncommitted, "inputs": inputs}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip("\n")  # the lines of `git status` may start with a blank


def write_provenance(stage: str, origin: dict, outputs: list[Path]) -> None:
    """Write metrics/provenance/{stage}.json: the `origin` of the results and the hashes of what was made.

    The file is nobody's declared output: it names the machine and the versions, on which no hash in dvc.lock may depend.
    Run again on the same checkout and machine it is the same.
    """
    made = {path.as_posix(): content_hash(path) for path in outputs}
    write_json(PROVENANCE / f"{stage}.json", {**origin, "outputs": made})
