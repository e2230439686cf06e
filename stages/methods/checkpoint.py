"""Load a trained method from the folder in which its stage left it."""

from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForSequenceClassification

import stages.methods.bottleneck  # noqa: F401  (makes PEFT know the adapter)
from stages.errors import UserError
from stages.files import read_json
from stages.methods.base import load_base_model
from stages.quiet import quiet_libraries


def load_checkpoint(folder: Path, merge: bool = False) -> torch.nn.Module:
    """Return the model saved in `folder`, in evaluation mode.

    Args:
        merge: fold LoRA's update into the base weights, W + (alpha / r) B A, and return the plain model.

    Raises:
        UserError: the folder holds no checkpoint, or `merge` is asked of a method that cannot be merged.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no checkpoint (no config.json); run the stage train_{folder.name} first")
    if not (folder / "adapter_config.json").is_file():
        with quiet_libraries():
            model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        return model.eval()
    model = _load_peft(folder)
    if merge:
        try:
            model = model.merge_and_unload(safe_merge=True)
        except NotImplementedError as error:
            raise UserError(f"{folder}: {error}") from None
    return model.eval()


def _load_peft(folder: Path) -> PeftModel:
    config = PeftConfig.from_pretrained(folder)
    id2label = read_json(folder / "config.json")["id2label"]
    labels = [id2label[str(index)] for index in range(len(id2label))]
    base = load_base_model(labels, seed=0, folder=Path(config.base_model_name_or_path))
    with quiet_libraries():
        return PeftModel.from_pretrained(base, folder, use_safetensors=True)


def checkpoint_bytes(folder: Path) -> int:
    """Size of the weights in `folder` in bytes: what must be kept or shipped for one task, the base model aside."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
