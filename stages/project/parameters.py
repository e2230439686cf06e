"""Read params.yaml into `Params`, or refuse it with one message that lists every fault."""

import reprlib
from collections.abc import Hashable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stages.project.errors import UserError
from stages.project.schema import Params

TEXT, NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
SHORT = reprlib.Repr()  # aliases can make a value of any size
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 60
SHORT.maxlevel = 2


def load_params(path: str | Path = "params.yaml") -> Params:
    """Return the checked parameters in the file at `path`.

    Raises:
        UserError: the file is missing or not a YAML mapping, a key is duplicated, or some values are wrong; one message lists
            all faults, each with its place, the value received and what would be right.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: a mapping of parameters was expected, received {SHORT.repr(content)}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = [_fault(entry) for entry in error.errors()]
        raise UserError("\n  ".join([f"{path}: {len(faults)} fault(s)", *faults])) from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe types; a duplicate key is an error, where PyYAML would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str | None] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
            seen.add(key)
            seen.discard(None)
        return super().construct_mapping(node, deep)


def _read(path: str | Path) -> Any:
    try:
        loader = _UniqueKeys(Path(path).read_text(encoding="utf-8"))
        node = loader.get_single_node()
        _keep_words(node, Params)
        return None if node is None else loader.construct_document(node)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the command in the project's folder") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a file: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x})") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML for parameters: nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: an impossible date or number
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def _keep_words(node: yaml.Node | None, section: type[BaseModel]) -> None:
    """Take what is written for a parameter that is a string as a string, also where YAML sees a truth value or a number.

    A column may be called `on`, `no`, `2024` or `null`, and DVC writes `-S data.csv.text_column=on` without quotes. Null stays
    null where the schema has it, and where no column is named.
    """
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        field = section.model_fields.get(key.value) if isinstance(key, yaml.ScalarNode) else None
        if field is None:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            _keep_words(value, field.annotation)
        elif isinstance(value, yaml.ScalarNode) and _is_text(field.annotation):
            if value.tag != NULL:
                value.tag = TEXT
            elif field.annotation is str and key.value.endswith("_column"):
                value.tag, value.value = TEXT, value.value or "null"  # DVC writes null as nothing


def _is_text(annotation: Any) -> bool:
    return annotation is str or any(map(_is_text, get_args(annotation)))


def _fault(entry: ErrorDetails) -> str:
    """One fault as a line: place, what was expected, what was received."""
    place = ".".join(str(part) for part in entry["loc"]) or "params"
    if entry["type"] == "missing":
        return f"{place}: missing; add it"
    if entry["type"] == "extra_forbidden":
        nearest = get_close_matches(place, known_keys(Params), n=1, cutoff=0.0)[0]
        return f"{place}: unknown key; the nearest known one is {nearest}, received {SHORT.repr(entry['input'])}"
    if entry["type"] == "model_type":
        return f"{place}: a block of parameters was expected, received {SHORT.repr(entry['input'])}"
    message = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "value_error":  # a contradiction, whose message already quotes what was received
        return f"{place}: {message}"
    return f"{place}: {message[0].lower()}{message[1:]}, received {SHORT.repr(entry['input'])}"


def leaf_values(block: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values in `block` and the blocks in it by dotted name."""
    found: dict[str, Any] = {}
    for key, value in block.items():
        found |= leaf_values(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def known_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of all leaf keys below `section`, in the order of params.yaml."""
    keys = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
