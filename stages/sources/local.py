"""The user's own texts and encoder, copied from a CSV file and a folder."""

import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from stages.errors import UserError
from stages.files import read_json
from stages.methods.families import FAMILIES

CSV_NAME = "reviews.csv"
MODEL_SUFFIXES = {".json", ".txt", ".safetensors", ".model", ".md"}


def copy_csv(path: Path, target: Path) -> None:
    """Copy the file at `path` byte for byte to reviews.csv in the folder `target`.

    Raises:
        UserError: there is no such file, or it is empty.
    """
    if not path.is_file():
        raise UserError(f"data.csv.path: {path} is no file; give the path of a CSV file with a header line")
    if not path.stat().st_size:
        raise UserError(f"data.csv.path: {path} is empty; a header line and at least one row per class were expected")
    shutil.copyfile(path, target / CSV_NAME)
    print(f"{path}: {path.stat().st_size:,} bytes copied")


def copy_model(folder: Path, target: Path) -> None:
    """Copy config, weights and tokenizer from the top level of `folder` into `target`.

    Only json, txt, safetensors, model (SentencePiece) and md files are taken: no pickles, which can hold code, and no
    Python files.

    Raises:
        UserError: there is no such folder, it lacks config.json or weights as safetensors, these are damaged, or the model
            is of a family that is not supported.
    """
    if not folder.is_dir():
        raise UserError(f"model.local.path: {folder} is no folder; give the folder of a saved transformers model")
    present = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    missing = [] if "config.json" in present else ["config.json"]
    weights = [name for name in present if name.endswith(".safetensors")]
    missing += [] if weights else ["*.safetensors"]
    if missing:
        raise UserError(
            f"model.local.path: {folder} has no {' and no '.join(missing)}, it holds {', '.join(present) or 'no files'}; "
            "load the model with transformers and save it there with save_pretrained"
        )
    check_family(folder)
    for name in weights:
        check_weights(folder / name)
    for name in present:
        if Path(name).suffix in MODEL_SUFFIXES:
            shutil.copyfile(folder / name, target / name)
    print(f"{folder}: model copied")


def check_family(folder: Path) -> None:
    """Raise `UserError` unless config.json in `folder` names a family of encoders that every method can train."""
    try:
        model_type = read_json(folder / "config.json")["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"model.local.path: {folder}/config.json names no model_type ({reason}); save the model anew") from None
    if model_type not in FAMILIES:
        raise UserError(
            f"model.local.path: {folder} is a model of family {model_type!r}; supported are: {', '.join(sorted(FAMILIES))}"
        )


def check_weights(path: Path) -> None:
    """Raise `UserError` unless the file at `path` is a complete safetensors file; only its header is read."""
    try:
        with safe_open(path, framework="np") as file:
            empty = not file.keys()
    except (SafetensorError, OSError) as error:
        raise UserError(f"model.local.path: {path} is no complete safetensors file ({error}); copy or save it anew") from None
    if empty:
        raise UserError(f"model.local.path: {path} holds no weights; save the model anew with save_pretrained")
