"""Full fine-tuning of an encoder that does not fit on one device: each process holds a share of every weight (FSDP2).

Fully sharded data parallelism (Zhao et al. 2023, after ZeRO-3 of Rajbhandari et al. 2020): weights, gradients and optimizer state
are cut over the processes, and a layer's weights are gathered only while it computes. What asks for it, and what does not go with
it, is in `stages.training.sharding_options`.
"""

import re

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from stages.project.processes import is_main_process

_LAYER = re.compile(r"layers?\.\d+$")  # the name of one layer of an encoder: its weights are gathered together


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
