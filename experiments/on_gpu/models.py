"""Classifiers with random weights on a device, for measurements in which only shapes count."""

import contextlib

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedConfig

from stages.classifier.config import read_config
from stages.classifier.faster.apply import accelerate, accelerate_training
from stages.classifier.low_precision import LOW, check_precision
from stages.classifier.quiet import quiet_libraries
from stages.methods.method import attached
from stages.methods.registry import method_of
from stages.plan.stage import OWN
from stages.plan_published.encoders import configuration
from stages.plan_published.stage import PEFT
from stages.project.errors import UserError
from stages.project.paths import BASE_MODEL
from stages.project.schema import METHODS, Params

CLASSES = 2


def config_of(encoder: str) -> PreTrainedConfig:
    """The configuration of the encoder in models/base ("this encoder"), or of a published one."""
    config = read_config(BASE_MODEL) if encoder == OWN else configuration(encoder)
    config.num_labels = CLASSES
    return config


def settings_of(encoder: str, params: Params) -> Params:
    """`params`, for a published encoder with the sizes of LoRA and adapter for which its memory is planned."""
    return params if encoder == OWN else params.model_copy(update={"peft": PEFT})


@quiet_libraries()
def random_model(encoder: str, method: str, params: Params, device: torch.device, frozen_dtype: str = "same") -> nn.Module:
    """Return a classifier as `method` trains it, on `device`, with random weights.

    Args:
        frozen_dtype: as `train.frozen_dtype`.
    """
    params = settings_of(encoder, params)
    with torch.device("cpu" if frozen_dtype == "nf4" else device):  # 4-bit weights are computed on the CPU
        torch.manual_seed(params.seed)
        base = AutoModelForSequenceClassification.from_config(config_of(encoder))
        model = attached(method_of(method), base, params, frozen_dtype)
    if params.train.acceleration:
        accelerate(model)
        accelerate_training(model)
    nn.Module.to(model, device)
    return model


def precisions(device: torch.device) -> list[str]:
    """The precisions in which `device` can compute: older GPUs have no bf16."""
    found = []
    for precision in ("fp32", *LOW):
        with contextlib.suppress(UserError):
            check_precision(precision, "train.precision", device)
            found.append(precision)
    return found


def cases(device: torch.device, four_bit: bool) -> dict[tuple[str, str], list[str]]:
    """By (precision, frozen_dtype) the methods that are measured side by side; full fine-tuning freezes nothing.

    Args:
        four_bit: whether nf4 is among them.
    """
    plain = [(precision, "same") for precision in precisions(device)]
    low = "bf16" if "bf16" in precisions(device) else "fp16"
    frozen = [(low, low), *([(low, "nf4")] if four_bit else [])]
    freezing = [method for method in METHODS if method != "full"]
    return {**{pair: list(METHODS) for pair in plain}, **dict.fromkeys(frozen, freezing)}
