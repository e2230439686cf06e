"""The user's own texts and encoder, copied from a CSV file and a folder."""

import shutil
from pathlib import Path

from stages.errors import UserError

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
        UserError: there is no such folder, or it lacks config.json or weights as safetensors.
    """
    if not folder.is_dir():
        raise UserError(f"model.local.path: {folder} is no folder; give the folder of a saved transformers model")
    present = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    missing = [] if "config.json" in present else ["config.json"]
    missing += [] if any(name.endswith(".safetensors") for name in present) else ["*.safetensors"]
    if missing:
        raise UserError(
            f"model.local.path: {folder} has no {' and no '.join(missing)}, it holds {', '.join(present) or 'no files'}; "
            "save a model there with save_pretrained"
        )
    for name in present:
        if Path(name).suffix in MODEL_SUFFIXES:
            shutil.copyfile(folder / name, target / name)
    print(f"{folder}: model copied")
