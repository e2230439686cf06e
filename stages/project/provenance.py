"""Where results come from: everything that determines them, and the commit of the code."""

import hashlib
import json
import platform
from functools import reduce
from pathlib import Path
from typing import TypedDict

import torch

from stages.project.environment import computed_in, recorded_environment
from stages.project.errors import UserError
from stages.project.files import content_hash, write_json
from stages.project.machine import cpu_identity, describe_machine, pick_device
from stages.project.packages import installed_version, package_versions
from stages.project.paths import PARAMS, PIPELINE, PROVENANCE, SCRATCH, queued_from
from stages.project.pipeline import parameter_keys, stage_definitions
from stages.project.processes import process_count
from stages.project.revision import revision_of
from stages.project.schema import Params

CODE = ("stages", "peft_extras")  # how the paths of our own code begin
REQUIREMENTS = Path("requirements.txt")


class Provenance(TypedDict):
    """Commit and inputs of a stage, see `provenance`."""

    revision: str | None
    history: str
    uncommitted: list[str] | None
    inputs: dict[str, str]


def stage_inputs(stage: str, params: Params) -> dict[str, str]:
    """Return a name and a value for each thing on which the bytes that `stage` writes depend.

    These are the parameters and files that dvc.yaml lists for the stage (a SHA-256 per file, and per folder over its files;
    a test compares that list with the imports), requirements.txt and the versions of the packages that this code can load
    (`package_versions`), the machine with its number of threads, and the environment variables that may change how sums are
    rounded (`recorded_environment`).

    Raises:
        UserError: there is no dvc.yaml, or it does not define the stage.
    """
    definitions = stage_definitions()
    if stage not in definitions:
        raise UserError(f"{PIPELINE}: no stage {stage} is defined there, but {', '.join(definitions)}")
    definition = definitions[stage]
    keys = parameter_keys(definition["params"])
    inputs = {f"parameter {key}": repr(reduce(getattr, key.split("."), params)) for key in keys}
    inputs |= {path: content_hash(Path(path)) for path in definition["deps"]}
    code = [Path(path) for path in definition["deps"] if path.startswith(CODE)]
    inputs |= {f"package {name}": version for name, version in package_versions(code).items()}
    if params.train.frozen_dtype == "nf4" and ("train.frozen_dtype" in keys or "models/lora" in definition["deps"]):
        inputs["package bitsandbytes"] = installed_version("bitsandbytes")  # not among them: nothing else uses it
    inputs |= {str(REQUIREMENTS): content_hash(REQUIREMENTS)}
    inputs |= {f"machine {key}": str(value) for key, value in describe_machine(pick_device()).items()}
    inputs |= {"machine processes": str(process_count()), "machine precision": computed_in(stage, params)}
    inputs |= recorded_environment()
    inputs |= {"machine processor": cpu_identity(), "machine libc": "-".join(platform.libc_ver())}
    return inputs | {"machine kernels": torch.backends.cpu.get_cpu_capability()}  # which vector instructions PyTorch's own use


def provenance(stage: str, params: Params) -> Provenance:
    """Return the commit and the inputs of `stage` as they are now: call it before the stage computes.

    Keys: revision, the last commit that changed code among the inputs or the requirements; history, whether git knows that for
    sure (`Revision`); uncommitted, those of them, or of params.yaml and dvc.yaml, that differ from their committed state;
    inputs (`stage_inputs`). The revision is not simply HEAD: a commit that changes only results, another stage's code or other
    parts of params.yaml and dvc.yaml does not change it, so the same run has the same record. Where git cannot tell, revision
    and uncommitted are None, and history says why.
    """
    inputs = stage_inputs(stage, params)
    code = [str(REQUIREMENTS), *(name for name in inputs if name.startswith(CODE))]
    found = revision_of(code, [*code, str(PARAMS), str(PIPELINE)])
    return {"revision": found.commit, "history": found.history, "uncommitted": found.uncommitted, "inputs": inputs}


def write_provenance(stage: str, record: Provenance, outputs: list[Path]) -> None:
    """Write metrics/provenance/{stage}.json: the `record` of the results and the hashes of its outputs.

    The file is not a declared output of any stage: it names the machine and the versions, on which no hash in dvc.lock may
    depend. A second run on the same checkout and machine writes the same file. A copy is kept for `restore_record`.
    """
    content = {**record, "outputs": {path.as_posix(): content_hash(path) for path in outputs}}
    write_json(PROVENANCE / f"{stage}.json", content)
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    write_json(kept_records(stage) / f"{name}.json", content)


def kept_records(stage: str) -> Path:
    """The folder of all records of a stage; an experiment of DVC's queue runs in a folder that does not last."""
    return (queued_from() or Path()) / SCRATCH / "records" / stage
