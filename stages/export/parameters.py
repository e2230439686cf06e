"""The parameters with which data, models and scores were made, which params.yaml may no longer hold."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stages.export.lock import LOCK, left_by, locked_parameters, locked_stages
from stages.project.errors import UserError
from stages.project.parameters import known_keys, load_params
from stages.project.paths import DETAILS, METRICS, TRAINING_METRICS
from stages.project.schema import Params


def parameters_as_made(method: str, evaluated: bool) -> Params:
    """Return the parameters with which DVC ran the stages that led to models/{method}; params.yaml may have changed since.

    They are read from dvc.lock. Where it does not record a stage, or not the run that left the file here (the stage was run
    without DVC), they are those in params.yaml, and a printed line says so.

    Raises:
        UserError: the two contradict each other.
    """
    left: dict[str, Path | None] = {"evaluate": DETAILS / f"{method}.json"} if evaluated else {}
    # where two stages read the same parameter, the value of the later one in this order counts
    left |= {"fetch": None, "prepare": METRICS / "data.json", f"train_{method}": TRAINING_METRICS / f"{method}.json"}
    stages = locked_stages()
    recorded: dict[str, Any] = {}
    unrecorded = []
    for stage, path in left.items():
        found = None if path and not left_by(stages.get(stage), path) else locked_parameters(stages.get(stage))
        recorded.update(found or {})
        if found is None:
            unrecorded.append(stage)
    if unrecorded:
        print(f"models/{method}: {LOCK} does not record {', '.join(unrecorded)}; the card quotes params.yaml as it is now")
    content = load_params().model_dump()
    for key in known_keys(Params):
        if key in recorded:
            *sections, name = key.split(".")
            block = content
            for section in sections:
                block = block[section]
            block[name] = recorded[key]
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise UserError(
            f"models/{method}: {LOCK} and params.yaml contradict: {place}: {fault['msg']}; `dvc repro` makes them agree"
        ) from None
