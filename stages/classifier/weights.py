"""What the weight files of a folder hold, read from their headers alone, and the tensors of a head among them."""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open

from stages.classifier.families import family_of
from stages.project.files import read_json
from stages.project.paths import SHARDS, WEIGHTS

# safetensors' names of the types
TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8", "F8_E5M2": "float8"}


class Stored(NamedTuple):
    """A tensor in a file: its shape, and its type as safetensors calls it, such as F32."""

    shape: tuple[int, ...]
    type: str


def weight_paths(folder: Path) -> list[Path]:
    """Return the files from which transformers loads the model in `folder`: one, or its shards.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: there is neither, or the list of shards is damaged.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    return [folder / name for name in sorted(set(read_json(folder / SHARDS)["weight_map"].values()))]


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Return shape and type of every tensor in the weight files of `folder`, by name.

    Raises:
        SafetensorError: a file is damaged.
        OSError, ValueError, KeyError, TypeError, AttributeError: as `weight_paths`.
    """
    found = {}
    for path in weight_paths(folder):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_slice(name)
                found[name] = Stored(tuple(tensor.get_shape()), tensor.get_dtype())
    return found


def saved_head(stored: dict[str, Stored], model_type: str) -> dict[str, Stored]:
    """Return the tensors in `stored` that belong to a head which an earlier training left there.

    A masked language model of ModernBERT has one part of the head, `head`, as part of its pre-training: it is no such head.
    """
    family = family_of(model_type)
    if not any(name.startswith("classifier.") for name in stored):
        return {}
    return {name: tensor for name, tensor in stored.items() if name.startswith(tuple(f"{module}." for module in family.head))}


def read_tensors(folder: Path, without: dict[str, Stored]) -> dict[str, torch.Tensor]:
    """Return the tensors in the weight files of `folder`, mapped from disk, except those named in `without`."""
    tensors: dict[str, torch.Tensor] = {}
    for path in weight_paths(folder):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys() if name not in without}  # noqa: SIM118
    return tensors
