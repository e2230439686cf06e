"""How `train.launcher` asks for sharded weights, and what does not go with them; nothing here loads PyTorch.

The option is --use_fsdp of accelerate. accelerate itself shards on GPUs only, and trains whole weights on a CPU without a word;
here the option means the same on both, and nothing in a default_config.yaml or in the environment can ask for it.
"""

import shlex

from stages.project.errors import UserError
from stages.project.schema import Params

OPTION = "--use_fsdp"
VERSION = "--fsdp_version"


def is_sharded(params: Params) -> bool:
    """Whether `train.launcher` asks for sharding."""
    return OPTION in _options(params)


def plain_options(options: list[str]) -> list[str]:
    """The options for accelerate's launcher, which starts the processes: what they do with the weights is decided here."""
    return ["--multi_gpu" if option == OPTION else option for option in options if not option.startswith(VERSION)]


def check_sharding(stage: str, params: Params) -> None:
    """Refuse what does not work with sharded weights.

    Raises:
        UserError: one message for all: an option of FSDP other than version 2, a method that shards nothing large, AWP, a
            precision, or a layer of this project that reads whole weights.
    """
    options = _options(params)
    given = [option for option in options if option.startswith("--fsdp_")]
    if not is_sharded(params):
        if given:
            raise UserError(f"train.launcher: {', '.join(given)} has no effect without {OPTION}; add that, or remove it")
        return
    train, faults = params.train, []
    if options[:2] != ["accelerate", "launch"]:
        faults.append(f"{OPTION} is an option of accelerate launch, received {train.launcher!r}")
    if other := [option for option in given if option != f"{VERSION}=2"]:
        faults.append(f"of FSDP's options only {VERSION}=2 is supported, received {', '.join(other)}")
    if stage != "train_full":
        faults.append(f"{stage} trains few weights: --multi_gpu shares its batch")
    if params.awp.enabled:
        faults.append("awp.enabled: must be false, since AWP takes gradients and norms of whole weights, received true")
    if train.acceleration:
        faults.append("train.acceleration: must be false, since its layers read whole weights, received true")
    if train.precision != "fp32":
        faults.append(f"train.precision: must be fp32, received {train.precision}")
    if faults:
        raise UserError(f"train.launcher: sharded weights ({OPTION}) do not go with these settings: " + "; ".join(faults))


def _options(params: Params) -> list[str]:
    return shlex.split(params.train.launcher)
