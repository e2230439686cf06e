"""The user's own encoder, copied from a folder."""

import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open

from stages.classifier.families import check_family
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import SHARDS, WEIGHTS

MODEL_SUFFIXES = {".json", ".txt", ".safetensors", ".model", ".md"}
ADAPTER = "adapter_config.json"  # PEFT's
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


def copy_model(folder: Path, target: Path, origin: str | None = None) -> None:
    """Copy config, weights and tokenizer from the top level of `folder` into `target`.

    Only json, txt, safetensors, model (SentencePiece) and md files are copied: no pickles, which can contain code, and no
    Python files. Of several weight files, those that transformers would load are copied: model.safetensors, else the
    shards listed in model.safetensors.index.json. An adapter_config.json that lost its adapter is left behind, and reported:
    transformers would look for the adapter.

    Args:
        origin: what messages call the folder; by default the parameter that names it, and its path.

    Raises:
        UserError: there is no such folder, it lacks config.json or safetensors weights, these are damaged, the model
            is of a family that is not supported, or the folder holds a PEFT adapter.
    """
    origin = origin or f"model.local.path: {folder}"
    if not folder.is_dir():
        raise UserError(f"{origin} is not a folder; give the folder of a saved transformers model")
    present = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    _refuse_adapter(present, origin)
    missing = [] if "config.json" in present else ["config.json"]
    missing += [] if any(name.endswith(".safetensors") for name in present) else ["*.safetensors"]
    if missing:
        raise UserError(
            f"{origin} has no {' and no '.join(missing)}, it contains {', '.join(present) or 'no files'}; "
            "load the model with transformers and save it there with save_pretrained"
        )
    check_family(folder, origin)
    weights = weight_files(folder, present, origin)
    for name in weights:
        check_weights(folder / name, origin)
    for name in present:
        suffix = Path(name).suffix
        if name == ADAPTER:
            print(f"{origin.partition(': ')[2]}: {ADAPTER} is left out, as its adapter is not there; the encoder is used without")
        elif name in weights or (suffix in MODEL_SUFFIXES and suffix != ".safetensors"):
            shutil.copyfile(folder / name, target / name)
    print(f"{origin.partition(': ')[2]}: model copied")


def _refuse_adapter(present: list[str], origin: str) -> None:
    """Raise `UserError` if there is an adapter: whether it belongs to the encoder cannot be told from the files."""
    adapter = [name for name in (ADAPTER, *ADAPTER_WEIGHTS) if name in present]
    if len(adapter) > 1 or (adapter and not {WEIGHTS, SHARDS} & set(present)):
        raise UserError(
            f"{origin} holds a PEFT adapter ({', '.join(adapter)}), expected an encoder; load it with PEFT, fold it in with "
            "merge_and_unload, save the result with save_pretrained and give that folder; or remove the adapter's files"
        )


def weight_files(folder: Path, present: list[str], origin: str) -> list[str]:
    """Return the names of the weight files that transformers would load from `folder`.

    Raises:
        UserError: there is neither a single file nor an index of shards, the index is damaged, or a shard is missing.
    """
    if WEIGHTS in present:
        return [WEIGHTS]
    others = ", ".join(name for name in present if name.endswith(".safetensors"))
    if SHARDS not in present:
        raise UserError(f"{origin} has no {WEIGHTS} and no {SHARDS}, its weights are {others}; save it with save_pretrained")
    try:
        names = sorted(set(read_json(folder / SHARDS)["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{origin}: {SHARDS} lists no shards ({reason}); copy or save the model again") from None
    if missing := [str(name) for name in names if name not in present]:
        raise UserError(f"{origin} lacks {', '.join(missing)}, listed in {SHARDS}; it has {others}; copy or save it again")
    return names


def check_weights(path: Path, origin: str) -> None:
    """Raise `UserError` unless the file at `path` is a complete safetensors file; only its header is read."""
    try:
        with safe_open(path, framework="np") as file:
            empty = not file.keys()
    except (SafetensorError, OSError) as error:
        raise UserError(f"{origin}/{path.name} is not a complete safetensors file ({error}); copy or save it again") from None
    if empty:
        raise UserError(f"{origin}/{path.name} contains no weights; save the model again with save_pretrained")
