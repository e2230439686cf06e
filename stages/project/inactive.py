"""Parameters that were changed and do nothing: those of a source that is not chosen, or of something that is switched off."""

from collections.abc import Iterable
from typing import Any

import yaml

from stages.project.git import committed
from stages.project.parameters import leaf_values
from stages.project.paths import PARAMS
from stages.project.schema import Params

A_SHARE = 0.01  # stands for any value but null, and is the one that a message proposes

# a parameter or section, and the parameter and value without which it does nothing; the first that is lacking counts
NEEDS: dict[str, tuple[tuple[str, Any], ...]] = {
    "data.neutral_margin": (("data.source", "package"),),
    "data.csv": (("data.source", "csv"),),
    "data.hub": (("data.source", "hub"),),
    "model.local": (("model.source", "local"),),
    "model.hub": (("model.source", "hub"),),
    "awp.epsilon": (("awp.enabled", True), ("awp.box", None)),
    "awp.target": (("awp.enabled", True),),
    "awp.embeddings": (("awp.enabled", True),),
    "awp.box": (("awp.enabled", True),),
    "awp.step": (("awp.enabled", True), ("awp.box", A_SHARE)),
    "awp.window_start": (("awp.enabled", True),),
    "awp.window_end": (("awp.enabled", True),),
    "peft.scaling": (("peft.adapter", "parallel"),),
    "mixout.p": (("mixout.enabled", True),),
}


def needs_of(key: str) -> tuple[tuple[str, Any], ...]:
    """Return the parameters, each with the value, without which `key` does nothing; none if it always counts."""
    return next((needs for name, needs in NEEDS.items() if key == name or key.startswith(f"{name}.")), ())


def lacking_need(key: str, values: dict[str, Any]) -> tuple[str, Any] | None:
    """Return the first need of `key` that the `values` of all parameters, by dotted name, do not meet."""
    for switch, needed in needs_of(key):
        value = values.get(switch)
        if value is None if needed is A_SHARE else value != needed:
            return switch, needed
    return None


def is_active(key: str, values: dict[str, Any]) -> bool:
    """Whether `key` does something, given the `values` of all parameters by dotted name."""
    return lacking_need(key, values) is None


def committed_values() -> dict[str, Any]:
    """Return params.yaml as it is in the last commit, by dotted name; nothing without git or without a readable file there."""
    try:
        content = yaml.safe_load(committed(PARAMS))
    except (ValueError, yaml.YAMLError):
        return {}
    return leaf_values(content) if isinstance(content, dict) else {}


def warnings(params: Params, committed: dict[str, Any], keys: Iterable[str]) -> list[str]:
    """Return a sentence for each condition that changed parameters among `keys` lack, with what to add.

    A parameter counts as changed if its value is not the one in `committed`: who gives a file with
    `-S data.csv.path=mine.csv` means to use it, and would otherwise get a result of other data without a word.
    """
    values = leaf_values(params.model_dump())
    lacking: dict[tuple[str, Any], list[str]] = {}
    for key in keys:
        need = lacking_need(key, values)
        if need and key in committed and values[key] != committed[key]:
            lacking.setdefault(need, []).append(f"{key}={_shown(values[key])}")
    sentences = []
    for (switch, needed), changed in lacking.items():
        has, it = ("has", "it") if len(changed) == 1 else ("have", "them")
        because = f"because {switch} is {_shown(values[switch])}"
        sentences.append(f"{' and '.join(changed)} {has} no effect, {because}; to use {it}, add -S {switch}={_shown(needed)}")
    return sentences


def _shown(value: Any) -> str:
    """A value as `-S` takes it."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
