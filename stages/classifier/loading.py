"""The common starting point of all methods: the pre-trained encoder with the same newly initialized classification head."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from stages.classifier.config import CODE, classifier_config
from stages.classifier.families import family_of
from stages.classifier.quiet import quiet_libraries
from stages.classifier.weights import TYPES, Stored, read_tensors, saved_head, stored_tensors
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import BASE_MODEL

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError)
IN_THE_ENCODER = re.compile(r"(^|\.)(embeddings|encoder|transformer|layers?|albert_layers)\.")


def load_base_model(labels: Sequence[str], seed: int, folder: Path = BASE_MODEL) -> PreTrainedModel:
    """Return the encoder in `folder` with a head for `labels`.

    The head is initialized after seeding with `seed`, so that every method starts from the same numbers. One that is there
    already, of a classifier that somebody trained, is left out: its numbers would be the same for every seed. Weights are
    loaded in float32 from safetensors only; code that comes with the model is never run.

    Raises:
        UserError: the folder does not hold such a model, its head is for another number of classes, or the family is not
            supported.
    """
    return _load_with_new_head(labels, seed, folder)[0]


def describe_base_model(labels: Sequence[str], seed: int, folder: Path = BASE_MODEL) -> list[str]:
    """Load the encoder in `folder` as every training will, and return what its user should know about it: one line each.

    Raises:
        UserError: as `load_base_model`.
    """
    model, stored, unexpected = _load_with_new_head(labels, seed, folder)
    notes = []
    if types := sorted({tensor.type for tensor in stored.values() if tensor.type in TYPES} - {"F32"}):
        notes.append(f"weights stored as {', '.join(TYPES[name] for name in types)} are trained and saved as float32")
    if head := saved_head(stored, model.config.model_type):
        notes.append(f"the head in the weights ({_some(head)}) is left out: every method starts from a new one, drawn from seed")
    if unused := [name for name in unexpected if IN_THE_ENCODER.search(name) and ".pooler." not in name]:
        notes.append(
            f"{len(unused)} tensor(s) of the weights are not used, as config.json has no place for them: {_some(unused)}"
        )
    if CODE in read_json(folder / "config.json"):
        notes.append(f"the code that {CODE} in config.json names is not run; transformers' own {type(model).__name__} is used")
    return notes


def _load_with_new_head(
    labels: Sequence[str], seed: int, folder: Path
) -> tuple[PreTrainedModel, dict[str, Stored], Sequence[str]]:
    """Return the model, what its weight files hold, and the names of tensors in them that it does not use."""
    config = classifier_config(folder, labels)
    try:
        stored = stored_tensors(folder)
    except UNREADABLE as error:
        raise _unreadable(folder, error) from None
    head = saved_head(stored, config.model_type)
    torch.manual_seed(seed)
    # the pooler too: encoders trained without it are saved without it
    new = (*family_of(config.model_type).head, "pooler")
    model, unexpected = _load(folder, config, new, head)
    _check_classes(model, head, labels, folder)
    if broken := [name for name, weight in model.named_parameters() if not weight.isfinite().all()]:
        raise UserError(
            f"{folder}: {len(broken)} tensor(s) hold infinite or undefined numbers: {_some(broken)}; save the model again"
        )
    return model, stored, unexpected


def load_classifier(folder: Path, config: PreTrainedConfig) -> PreTrainedModel:
    """Return the classifier that is saved in `folder`, with its head.

    Raises:
        UserError: the weights are missing, damaged, or those of a different model.
    """
    return _load(folder, config)[0]


def _load(
    folder: Path, config: PreTrainedConfig, may_be_new: Sequence[str] = (), without: Mapping[str, Stored] | None = None
) -> tuple[PreTrainedModel, Sequence[str]]:
    """Return the model whose weights are in `folder`, and the names of the tensors there that it does not use.

    Args:
        may_be_new: modules whose weights may be missing there; they are initialized at random. The library would do the same
            with any other missing weight, and train a model that is pre-trained in name only.
        without: tensors that are not loaded, as if they were missing.
    """
    options: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        with quiet_libraries():  # the report of a missing head would be noise: the head is meant to be new
            if without:
                tensors = read_tensors(folder, without=dict(without))
                kind = cast(Any, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)])  # typed as if it were a pair
                model, info = kind.from_pretrained(None, config=config, state_dict=tensors, use_safetensors=True, **options)
                model.name_or_path = model.config.name_or_path = str(folder)
            else:
                model, info = AutoModelForSequenceClassification.from_pretrained(
                    folder, config=config, use_safetensors=True, trust_remote_code=False, local_files_only=True, **options
                )
    except UNREADABLE as error:
        raise _unreadable(folder, error) from None
    _check_shapes(info["mismatched_keys"], folder)
    lost = sorted(name for name in info["missing_keys"] if set(may_be_new).isdisjoint(name.split(".")))
    unexpected = sorted(info["unexpected_keys"])
    if lost:
        raise UserError(
            f"{folder}: not the weights of a {config.model_type} model: {len(lost)} of its tensors are missing, "
            f"such as {lost[0]}; the file has {', '.join(unexpected[:2]) or 'no others'} instead"
        )
    # a pooler that the saved encoder lacks belongs to the head: it is as untrained as the classifier
    poolers = {name.partition(".pooler.")[0] + ".pooler" for name in info["missing_keys"] if ".pooler." in name}
    model.new_pooler = min(poolers, default=None)
    return model, unexpected


def _unreadable(folder: Path, error: BaseException) -> UserError:
    return UserError(f"{folder}: the weights could not be loaded: {' '.join(str(error).split())}")


def _check_shapes(mismatched: set[tuple[str, Sequence[int], Sequence[int]]], folder: Path) -> None:
    """Raise `UserError` if tensors have other shapes in the weights than config.json gives them."""
    if mismatched:
        shown = [f"{name} is {tuple(saved)}, expected {tuple(wanted)}" for name, saved, wanted in sorted(mismatched)]
        raise UserError(
            f"{folder}: the weights do not fit config.json, which may have another vocab_size or width: {_some(shown, '; ')}; "
            "save model and configuration together, with save_pretrained"
        )


def _check_classes(model: PreTrainedModel, head: Mapping[str, Stored], labels: Sequence[str], folder: Path) -> None:
    """Raise `UserError` if the saved head is for another number of classes: it is not a classifier of these data."""
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    for name, tensor in sorted(head.items(), key=lambda item: -len(item[1].shape)):
        if shapes.get(name, tensor.shape) != tensor.shape:
            raise UserError(
                f"{folder}: {name} is {tensor.shape}, expected {shapes[name]} for the {len(labels)} classes of the data: a "
                "classifier of something else; if you want its encoder, save that alone, "
                "AutoModel.from_pretrained(...).save_pretrained(FOLDER), and set model.source to local and model.local.path to it"
            )


def _some(names: Sequence[str] | Mapping[str, Any], between: str = ", ") -> str:
    shown = list(names)[:3]
    return between.join([*shown, "..."] if len(names) > len(shown) else shown)
