"""The common start of all methods: the pre-trained encoder with the same freshly drawn classification head."""

from collections.abc import Sequence
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from stages.acceleration.apply import accelerate
from stages.errors import UserError
from stages.files import read_json
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
    config = read_config(folder)
    family = family_of(config.model_type)
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(seed)
    # the pooler too: encoders trained without it are saved without it
    return load_classifier(folder, config, may_be_new=(*family.head, "pooler"))


def read_config(folder: Path) -> PreTrainedConfig:
    """Return the configuration saved in `folder`; no code that it may name is run.

    Raises:
        UserError: there is none, it is damaged, or of a family that is not supported.
    """
    try:
        model_type = read_json(folder / "config.json")["model_type"]
        family_of(model_type, f"{folder}: ")
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: no model configuration that transformers can read in config.json ({reason})") from None


def load_classifier(folder: Path, config: PreTrainedConfig, may_be_new: Sequence[str] = ()) -> PreTrainedModel:
    """Return the classifier whose weights lie in `folder` as safetensors.

    Args:
        may_be_new: modules whose weights may be missing there; they are drawn at random. The library would draw any other
            missing weight too, and train a model of which only the name is pretrained.

    Raises:
        UserError: no such weights, damaged ones, or weights of another model.
    """
    try:
        with quiet_libraries():  # the report of a missing head would be noise: that it is missing is the point
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
            f"{folder}: no weights of a {config.model_type} model: {len(lost)} of its tensors are missing, such as {lost[0]}; "
            f"the file has {', '.join(sorted(info['unexpected_keys'])[:2]) or 'no others'} instead"
        )
    # a pooler that the encoder was saved without belongs to the head: it has learned nothing yet
    poolers = {name.partition(".pooler.")[0] + ".pooler" for name in info["missing_keys"] if ".pooler." in name}
    model.new_pooler = min(poolers, default=None)
    accelerate(model)
    return model
