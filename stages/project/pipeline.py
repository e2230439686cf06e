"""What dvc.yaml says of a stage: its parameters, what it reads and writes, and which stages come after it."""

from typing import Any

import yaml

from stages.project.errors import UserError
from stages.project.parameters import known_keys
from stages.project.paths import PARAMS, PIPELINE
from stages.project.schema import Params


def stage_definitions() -> dict[str, dict[str, Any]]:
    """Return the stages of dvc.yaml by name, in its order.

    Raises:
        UserError: there is no dvc.yaml, or it has no stages.
    """
    try:
        return yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{PIPELINE}: no stages are defined there; run the command in the project's folder") from error


def parameter_keys(entries: list) -> list[str]:
    """Return the dotted names of the single parameters (leaf keys) that a `params` list of dvc.yaml names.

    An entry is a name, or a mapping from params.yaml to a list of names, or to nothing, which means all parameters. The name
    of a section, such as `awp`, means every parameter in it. A mapping from another file names values that a stage made.
    """
    leaves = known_keys(Params)
    keys: list[str] = []
    for entry in entries:
        if isinstance(entry, dict) and str(PARAMS) not in entry:
            continue
        for name in [entry] if isinstance(entry, str) else entry[str(PARAMS)] or leaves:
            # a name that is neither stays as it is: looking it up fails, and so it is noticed
            keys += [leaf for leaf in leaves if leaf.startswith(f"{name}.")] or [name]
    return keys


def named_parameters(definition: dict[str, Any]) -> list[str]:
    """Return the parameters that a stage names one by one: none for a stage that depends on all of them."""
    keys = parameter_keys(definition.get("params", []))
    return [] if set(keys) == set(known_keys(Params)) else keys


def inputs(definition: dict[str, Any]) -> list[str]:
    """Return the paths that a stage reads: its dependencies, and files of other stages from which it takes single values."""
    entries = [name for entry in definition.get("params", []) if isinstance(entry, dict) for name in entry]
    return [*definition.get("deps", []), *(name for name in entries if name != str(PARAMS))]


def outputs(definition: dict[str, Any]) -> list[str]:
    """Return the paths that a stage writes: its outs, metrics and plots."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in definition.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def stages_after(stages: set[str], definitions: dict[str, dict[str, Any]]) -> list[str]:
    """Return the stages that read, directly or through others, what `stages` write, in the order of dvc.yaml."""
    reached = set(stages)
    changed = True
    while changed:
        written = [path for stage in reached for path in outputs(definitions[stage])]
        found = {
            stage
            for stage, definition in definitions.items()
            if any(_overlap(path, other) for path in inputs(definition) for other in written)
        }
        changed = not found <= reached
        reached |= found
    return [stage for stage in definitions if stage in reached - stages]


def _overlap(one: str, other: str) -> bool:
    """Whether the paths are the same, or one is a folder that contains the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
