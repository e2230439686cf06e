"""Full fine-tuning of an encoder that does not fit on one device: each process holds a share of every weight (FSDP2).

Fully sharded data parallelism (Zhao et al. 2023, after ZeRO-3 of Rajbhandari et al. 2020): weights, gradients and optimizer state
are cut over the processes, and a layer's weights are gathered only while it computes. `train.launcher` asks for it by the option
--use_fsdp of accelerate. accelerate itself shards on GPUs only, and trains whole weights on a CPU without a word; here the option
means the same on both, and nothing in a default_config.yaml or in the environment can ask for it.
"""

import re
import shlex

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from stages.project.errors import UserError
from stages.project.processes import is_main_process
from stages.project.schema import Params

OPTION = "--use_fsdp"
VERSION = "--fsdp_version"
_LAYER = re.compile(r"layers?\.\d+$")  # the name of one layer of an encoder: its weights are gathered together


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


def shard(accelerator: Accelerator, model: nn.Module) -> None:
    """Make `accelerator` shard `model` when it prepares it.

    Gradients are reduced after every micro-batch: kept whole until the last one, they would take the memory that sharding saves.
    """
    layers = {type(module).__name__ for name, module in model.named_modules() if _LAYER.search(name)}
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=sorted(layers),
        cpu_ram_efficient_loading=False,  # each process has read the encoder
    )
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin
    accelerator.gradient_state.plugin_kwargs["sync_each_batch"] = True


def trained_weights(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The trained parameters by name; of a sharded model the shares, also where an evaluation has left a layer gathered."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's share of a sharded tensor; any other tensor as it is. Writing to it changes the tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a sharded tensor in host memory, on rank 0; other processes take part and get an empty one.

    Any other tensor is returned as it is.
    """
    if not isinstance(tensor, DTensor):
        return tensor
    full = tensor.full_tensor()
    return full.cpu() if is_main_process() else full.new_empty(0)


def like(tensor: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cut a whole `tensor` as `target` is cut; every process has the whole one."""
    if not isinstance(target, DTensor) or tensor.shape != target.shape:
        return tensor
    mesh = target.device_mesh
    return distribute_tensor(tensor.to(mesh.device_type), mesh, target.placements, src_data_rank=None)


def joined(share: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The whole tensor, as `whole` returns it, of which `share` is this process's part, cut as `target` is."""
    if not isinstance(target, DTensor):
        return share
    mesh = target.device_mesh
    shape, stride = target.shape, target.stride()
    return whole(DTensor.from_local(share.to(mesh.device_type), mesh, target.placements, shape=shape, stride=stride))
