"""The common start of all methods: the pre-trained encoder with the same freshly drawn classification head."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from stages.errors import UserError
from stages.methods.families import family_of
from stages.paths import BASE_MODEL
from stages.quiet import quiet_libraries


def load_base_model(labels: Sequence[str], seed: int, folder: Path = BASE_MODEL) -> PreTrainedModel:
    """Return the encoder in `folder` with a head for `labels`.

    The head is drawn after seeding with `seed`, so that every method starts from the same numbers. Loading happens in
    float32 from safetensors only; no code of the model's author is run.

    Raises:
        UserError: the folder holds no such model, or one of a family that is not supported.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no model configuration that transformers can read: {error}") from None
    family_of(config.model_type)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(seed)
    return _load(folder, config)


def _load(folder: Path, config) -> PreTrainedModel:
    try:
        with quiet_libraries():  # the report of a missing head would be noise: that it is missing is the point
            return AutoModelForSequenceClassification.from_pretrained(
                folder, config=config, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: the weights could not be loaded: {error}") from None
