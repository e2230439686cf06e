"""How long a stage takes: what the last run took, with which settings and on which machine, and what to expect of the next.

metrics/durations.json is written at the end of every stage and committed with the results. It is measured with a clock: no
stage depends on it, and it is an output of none.
"""

import json
from typing import Any, NamedTuple

from stages.project.files import read_json, write_json
from stages.project.git import committed
from stages.project.inactive import is_active
from stages.project.machine import machine_in_words
from stages.project.parameters import leaf_values
from stages.project.paths import DURATIONS
from stages.project.pipeline import named_parameters
from stages.project.schema import Params

# which data and which encoder: the time of every stage depends on them, even if dvc.yaml does not name these parameters for it
IDENTITY = ("data.source", "data.limit", "data.max_length", "data.train_fraction", "data.csv.path", "data.hub.name",
            "data.hub.split", "model.source", "model.local.path", "model.hub.name")  # fmt: skip
# what changes results and hardly the time
SAME_TIME = ("seed", "data.neutral_margin", "train.learning_rate.", "train.warmup_fraction", "train.weight_decay",
             "train.patience", "train.max_grad_norm", "train.class_weights", "train.memory_budget_gib", "peft.rank", "peft.alpha",
             "peft.dropout", "peft.use_rslora", "peft.init", "peft.bottleneck", "peft.scaling", "awp.epsilon", "awp.embeddings",
             "awp.box", "awp.step", "mixout.", "evaluate.confidence", "evaluate.calibration_bins", "data.csv.text_column",
             "data.csv.label_column")  # fmt: skip
PROPORTIONAL = "train.epochs"
UNKNOWN = "time unknown"


class Expected(NamedTuple):
    """Seconds that a stage is expected to take, None if nobody knows, and a phrase that says it with its reason."""

    seconds: float | None
    phrase: str


def settings_of(definition: dict[str, Any], params: Params) -> dict[str, Any]:
    """Return the parameters on which the time of a stage depends, by dotted name, without those that are switched off."""
    values = leaf_values(params.model_dump())
    keys = [*IDENTITY, *(key for key in named_parameters(definition) if key not in IDENTITY)]
    return {key: values[key] for key in keys if is_active(key, values) and not key.startswith(SAME_TIME)}


def record(stage: str, definition: dict[str, Any], params: Params, seconds: float) -> None:
    """Write into metrics/durations.json what `stage` took."""
    entry = {"seconds": round(seconds, 1), "machine": machine_in_words(), "settings": settings_of(definition, params)}
    write_json(DURATIONS, dict(sorted({**_in_folder(), stage: entry}.items())))


def expected(stage: str, definition: dict[str, Any], params: Params) -> Expected:
    """Return how long `stage` will take by what was measured in this folder or is committed, the better match of the two."""
    settings = settings_of(definition, params)
    measured = [entries[stage] for entries in (_in_folder(), _committed()) if stage in entries]
    if not measured:
        return Expected(None, f"{UNKNOWN}: never measured")
    differing = [_differences(entry, settings) for entry in measured]
    entry, different = min(zip(measured, differing, strict=True), key=lambda pair: len(pair[1]))
    factor, reason = 1.0, ""
    if different == [PROPORTIONAL]:
        factor = settings[PROPORTIONAL] / entry["settings"][PROPORTIONAL]
        reason = f", scaled from {in_words(entry['seconds'])} for {PROPORTIONAL}={entry['settings'][PROPORTIONAL]}"
    elif different:
        were = [f"{key}={entry['settings'][key]}" for key in different if key in entry["settings"]][:2] or ["other parameters"]
        return Expected(None, f"{UNKNOWN}: {in_words(entry['seconds'])} were measured with {', '.join(were)}")
    place = "" if entry["machine"] == machine_in_words() else f", measured on {entry['machine']}"
    return Expected(entry["seconds"] * factor, f"about {in_words(entry['seconds'] * factor)}{reason}{place}")


def total(stages: list[str], definitions: dict[str, dict[str, Any]], params: Params) -> Expected:
    """Return how long `stages` will take together; "more than" where some of them are not known."""
    each = {stage: expected(stage, definitions[stage], params).seconds for stage in stages}
    known = sum(seconds for seconds in each.values() if seconds is not None)
    unknown = [stage for stage, seconds in each.items() if seconds is None]
    if not unknown:
        return Expected(known, f"about {in_words(known)}")
    return Expected(None, f"more than {in_words(known)}, {', '.join(unknown)} not counted" if known else UNKNOWN)


def in_words(seconds: float) -> str:
    """Seconds as "8 s", "14 min" or "1 h 5 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _differences(entry: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    then = entry["settings"]
    return [key for key in {**then, **settings} if then.get(key) != settings.get(key)]


def _in_folder() -> dict[str, dict[str, Any]]:
    try:
        return _usable(read_json(DURATIONS))
    except (OSError, ValueError):
        return {}


def _committed() -> dict[str, dict[str, Any]]:
    """The file of the last commit: an experiment on other data overwrites the one in the folder."""
    try:
        return _usable(json.loads(committed(DURATIONS)))
    except ValueError:
        return {}


def _usable(content: Any) -> dict[str, dict[str, Any]]:
    """What `record` may have written; anything else in the file is no reason to stop a stage."""
    if not isinstance(content, dict):
        return {}
    kinds = {"seconds": int | float, "machine": str, "settings": dict}
    return {
        stage: entry
        for stage, entry in content.items()
        if isinstance(entry, dict) and all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
    }
