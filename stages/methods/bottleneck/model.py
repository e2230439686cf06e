"""The tuner: puts a `BottleneckLayer` around every target module of a base model."""

import torch
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from stages.methods.bottleneck.config import BottleneckConfig
from stages.methods.bottleneck.layer import BottleneckLayer

# No module of a base model may contain it: PEFT finds a tuner's weights by this name (MobileBERT, for one, has modules
# named `bottleneck`).
PREFIX = "feedforward_adapter_"


class BottleneckModel(BaseTuner):
    """PEFT's tuner class for `BottleneckConfig`; made by `get_peft_model`, not by hand."""

    prefix = PREFIX
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, list[str]] = {}

    def _create_and_replace(
        self,
        config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        # The target is often a dropout, which has no weights to tell the device by; its neighbours have.
        device = next(parent.parameters(), torch.empty(0)).device
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, config, device)
            return
        layer = BottleneckLayer(target, adapter_name, config, device)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        setattr(parent, target_name, layer)

    def _check_merge_allowed(self) -> None:
        next(layer for layer in self.model.modules() if isinstance(layer, BottleneckLayer)).merge()
