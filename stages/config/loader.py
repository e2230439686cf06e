"""Read params.yaml into `Params`, or refuse it with one message that lists every fault."""

from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from stages.config.schema import Params
from stages.errors import UserError


def load_params(path: str | Path = "params.yaml") -> Params:
    """Return the checked parameters in the file at `path`.

    Raises:
        UserError: the file is missing or no YAML mapping, or some values are wrong; all faults stand in one message,
            each with its place, the value received and what would be right.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the command in the project's folder") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: a mapping of parameters was expected, received {content!r}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = [_fault(entry) for entry in error.errors()]
        raise UserError("\n  ".join([f"{path}: {len(faults)} fault(s)", *faults])) from None


def _fault(entry: dict) -> str:
    """One fault as a line: place, what was expected, what was received."""
    place = ".".join(str(part) for part in entry["loc"]) or "params"
    if entry["type"] == "missing":
        return f"{place}: missing; add it"
    if entry["type"] == "extra_forbidden":
        nearest = get_close_matches(place, _known_keys(Params), n=1, cutoff=0.0)[0]
        return f"{place}: unknown key; the nearest known one is {nearest}"
    message = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "value_error":  # a contradiction, whose message already quotes what was received
        return f"{place}: {message}"
    return f"{place}: {message[0].lower()}{message[1:]}, received {entry['input']!r}"


def _known_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    """Dotted names of all leaf keys below `section`, in the order of params.yaml."""
    keys = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
