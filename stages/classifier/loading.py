"""The common starting point of all methods: the pre-trained encoder with the same newly initialized classification head."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from stages.classifier.config import read_config
from stages.classifier.families import family_of
from stages.classifier.quiet import quiet_libraries
from stages.project.errors import UserError
from stages.project.paths import BASE_MODEL


def load_base_model(labels: Sequence[str], seed: int, folder: Path = BASE_MODEL) -> PreTrainedModel:
    """Return the encoder in `folder` with a head for `labels`.

    The head is initialized after seeding with `seed`, so that every method starts from the same numbers. Weights are loaded in
    float32 from safetensors only; code that comes with the model is never run.

    Raises:
        UserError: the folder does not hold such a model, or the family is not supported.
    """
    config = read_config(folder)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(seed)
    # the pooler too: encoders trained without it are saved without it
    return load_classifier(folder, config, may_be_new=(*family_of(config.model_type).head, "pooler"))


def load_classifier(folder: Path, config: PreTrainedConfig, may_be_new: Sequence[str] = ()) -> PreTrainedModel:
    """Return the classifier whose weights are in `folder` as safetensors.

    Args:
        may_be_new: modules whose weights may be missing there; they are initialized at random. The library would do the same
            with any other missing weight, and train a model that is pre-trained in name only.

    Raises:
        UserError: the weights are missing, damaged, or those of a different model.
    """
    try:
        with quiet_libraries():  # the report of a missing head would be noise: the head is meant to be new
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: the weights could not be loaded: {' '.join(str(error).split())}") from None
    lost = sorted(name for name in info["missing_keys"] if set(may_be_new).isdisjoint(name.split(".")))
    if lost:
        raise UserError(
            f"{folder}: not the weights of a {config.model_type} model: {len(lost)} of its tensors are missing, "
            f"such as {lost[0]}; the file has {', '.join(sorted(info['unexpected_keys'])[:2]) or 'no others'} instead"
        )
    # a pooler that the saved encoder lacks belongs to the head: it is as untrained as the classifier
    poolers = {name.partition(".pooler.")[0] + ".pooler" for name in info["missing_keys"] if ".pooler." in name}
    model.new_pooler = min(poolers, default=None)
    return model
