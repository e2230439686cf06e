"""Where results come from: everything that determines them, and the commit of the code."""

import platform
import subprocess
from functools import reduce
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

import torch
import yaml

from stages.project.errors import UserError
from stages.project.files import content_hash, write_json
from stages.project.machine import describe_machine, pick_device
from stages.project.parameters import known_keys
from stages.project.paths import PARAMS, PIPELINE, PROVENANCE
from stages.project.processes import process_count
from stages.project.schema import Params

# what computes, draws random numbers, or decides the order of operations
PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "numpy", "safetensors")


class Provenance(TypedDict):
    """Commit and inputs of a stage, see `provenance`."""

    revision: str | None
    uncommitted: list[str] | None
    inputs: dict[str, str]


def stage_inputs(stage: str, params: Params) -> dict[str, str]:
    """Return a name and a value for each thing on which the bytes that `stage` writes depend.

    These are the parameters and files that dvc.yaml lists for the stage (a SHA-256 per file, and per folder over its files;
    a test compares that list with the imports), the versions of the packages that compute, and the machine with its number
    of threads: a different one may round differently.

    Raises:
        UserError: there is no dvc.yaml, or it does not define the stage.
    """
    try:
        definition = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"][stage]
    except (OSError, KeyError) as error:
        raise UserError(f"{PIPELINE}: no stage {stage} is defined there; run the command in the project's folder") from error
    keys = parameter_keys(definition["params"])
    inputs = {f"parameter {key}": repr(reduce(getattr, key.split("."), params)) for key in keys}
    inputs |= {path: content_hash(Path(path)) for path in definition["deps"]}
    inputs |= {f"package {name}": version(name) for name in PACKAGES}
    inputs |= {f"machine {key}": str(value) for key, value in describe_machine(pick_device()).items()}
    inputs |= {"machine processes": str(process_count())}
    # which vector instructions the kernels use
    return inputs | {"machine kernels": torch.backends.cpu.get_cpu_capability(), "machine libc": "-".join(platform.libc_ver())}


def parameter_keys(entries: list) -> list[str]:
    """Return the dotted names of the single parameters (leaf keys) that a `params` list of dvc.yaml names.

    An entry is a name, or a mapping from params.yaml to a list of names, or to nothing, which means all parameters. The name
    of a section, such as `awp`, means every parameter in it.
    """
    leaves = known_keys(Params)
    keys: list[str] = []
    for entry in entries:
        for name in [entry] if isinstance(entry, str) else entry[str(PARAMS)] or leaves:
            # a name that is neither stays as it is: looking it up fails, and so it is noticed
            keys += [leaf for leaf in leaves if leaf.startswith(f"{name}.")] or [name]
    return keys


def provenance(stage: str, params: Params) -> Provenance:
    """Return the commit and the inputs of `stage` as they are now: call it before the stage computes.

    Keys: revision, the last commit that changed code among the inputs or the requirements; uncommitted, those of them, or of
    params.yaml and dvc.yaml, that differ from their committed state; inputs (`stage_inputs`). The revision is not simply HEAD:
    a commit that changes only results, another stage's code or other parts of params.yaml and dvc.yaml does not change it, so
    the same run has the same record. Outside a git repository the first two are None.
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
    return done.stdout.rstrip("\n")  # lines of `git status` may start with a space


def write_provenance(stage: str, record: Provenance, outputs: list[Path]) -> None:
    """Write metrics/provenance/{stage}.json: the `record` of the results and the hashes of its outputs.

    The file is not a declared output of any stage: it names the machine and the versions, on which no hash in dvc.lock may
    depend. A second run on the same checkout and machine writes the same file.
    """
    made = {path.as_posix(): content_hash(path) for path in outputs}
    write_json(PROVENANCE / f"{stage}.json", {**record, "outputs": made})
