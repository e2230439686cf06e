"""Load a trained method from the folder that its stage wrote."""

from pathlib import Path

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

import peft_extras.bottleneck  # noqa: F401  (registers the adapter with PEFT)
from stages.classifier.config import read_config
from stages.classifier.faster.apply import accelerate
from stages.classifier.four_bit import NAME as FOUR_BIT
from stages.classifier.four_bit import quantize, round_to_four_bit
from stages.classifier.loading import load_base_model, load_classifier
from stages.classifier.low_precision import FROZEN_DTYPES, cast_for_inference, cast_frozen, round_frozen
from stages.classifier.quiet import quiet_libraries
from stages.classifier.saving import BASE_RECORD, saved_labels, weights_sha256
from stages.project.errors import UserError
from stages.project.files import read_json

PEFT_FILES = (BASE_RECORD, "adapter_config.json", "adapter_model.safetensors")


def load_checkpoint(folder: Path, merge: bool = False, acceleration: bool = True, precision: str = "fp32") -> torch.nn.Module:
    """Return the model saved in `folder`, in evaluation mode.

    A method that was trained beside frozen weights in a lower precision gets them in that precision again; merged, the sum
    with their rounded values is float32.

    Args:
        merge: fold LoRA's update into the base weights, W + (alpha / r) B A, and return the plain model.
        acceleration: make it faster (`stages.classifier.faster.apply.accelerate`).
        precision: in which it will predict, inside `stages.classifier.low_precision.autocast`; in another one than fp32 its
            matrices are rounded here, once.

    Raises:
        UserError: the folder has no checkpoint or a damaged one, it was trained on a different base model than the one on
            disk, or `merge` is set for a method that cannot be merged.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no checkpoint (no config.json); run the stage train_{folder.name} first")
    model: torch.nn.Module
    if any((folder / name).exists() for name in PEFT_FILES):
        model = _load_as_trained(folder, merge)
    else:
        model = load_classifier(folder, read_config(folder))
    if acceleration:
        accelerate(model)
    cast_for_inference(model, precision)
    return model.eval()


def _load_as_trained(folder: Path, merge: bool) -> torch.nn.Module:
    """Return the model, or what it is when merged, with its frozen weights in the precision of training; nothing is trainable."""
    model, frozen = _load_peft(folder, merge)
    if merge:
        if frozen != FOUR_BIT:
            round_frozen(model, FROZEN_DTYPES[frozen])
        return _merged(model, folder).requires_grad_(False)
    if frozen != FOUR_BIT:
        cast_frozen(model, FROZEN_DTYPES[frozen])
    return model.requires_grad_(False)


def _frozen_dtype(folder: Path, record: dict) -> str:
    """The precision in which training kept the frozen weights, as `train.frozen_dtype` calls it."""
    name = record.get("frozen_dtype", "same")
    if name not in (*FROZEN_DTYPES, FOUR_BIT):
        raise UserError(
            f"{folder}: frozen_dtype in {BASE_RECORD} must be one of {', '.join((*FROZEN_DTYPES, FOUR_BIT))}, received {name!r}; "
            f"train it again: dvc repro train_{folder.name}"
        )
    return name


def _merged(model: PeftModel, folder: Path) -> torch.nn.Module:
    try:
        return model.merge_and_unload(safe_merge=True)
    except NotImplementedError as error:
        raise UserError(f"{folder}: {error}") from None


def _load_peft(folder: Path, merge: bool) -> tuple[PeftModel, str]:
    """Return the model, and in which precision its frozen weights were. Those of nf4 are so already, or rounded to be merged."""
    again = f"train it again: dvc repro train_{folder.name}"
    try:
        record = read_json(folder / BASE_RECORD)
        labels = saved_labels(folder)
        base, expected = Path(record["path"]), record["weights_sha256"]
        saved = set(safe_open(folder / "adapter_model.safetensors", framework="pt").keys())
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UserError(f"{folder}: damaged or incomplete ({type(error).__name__}: {error}); {again}") from None
    found = weights_sha256(base)
    if found != expected:
        raise UserError(
            f"{folder}: trained on a base model whose weights have SHA-256 {expected}, but those in {base} have {found}; "
            f"put that base model back, or {again}"
        )
    frozen = _frozen_dtype(folder, record)
    encoder = load_base_model(labels, seed=0, folder=base)
    if frozen == FOUR_BIT:  # before LoRA, as in training
        (round_to_four_bit if merge else quantize)(encoder, f"{folder}: trained with")
    model = _with_adapter(encoder, folder, again)
    if saved != set(get_peft_model_state_dict(model)):
        lost = sorted(saved ^ set(get_peft_model_state_dict(model)))
        raise UserError(f"{folder}: its weights do not match its configuration, they differ in {lost[0]}; {again}")
    return model, frozen


def _with_adapter(base: PreTrainedModel, folder: Path, again: str) -> PeftModel:
    try:
        with quiet_libraries():
            # trainable as in training, so that it is known what was frozen there
            return PeftModel.from_pretrained(base, folder, is_trainable=True, use_safetensors=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: cannot be loaded: {' '.join(str(error).split())}; {again}") from None


def checkpoint_bytes(folder: Path) -> int:
    """Return the size of the weights in `folder` in bytes: what is kept or shipped per task, not counting the base model."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
