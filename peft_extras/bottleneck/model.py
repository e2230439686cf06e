"""The tuner: puts a `BottleneckLayer` around every target module of a base model."""

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from peft_extras.bottleneck.config import BottleneckConfig
from peft_extras.bottleneck.layer import BottleneckLayer

# No module name of a base model may contain it: PEFT finds a tuner's weights by it (MobileBERT, for one, has modules named
# `bottleneck`).
PREFIX = "feedforward_adapter_"


class BottleneckModel(BaseTuner):
    """PEFT's tuner class for `BottleneckConfig`; created by `get_peft_model`."""

    prefix = PREFIX
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012  (as BaseTuner declares it)

    def _create_and_replace(
        self,
        config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        assert isinstance(config, BottleneckConfig)
        # The target is often a dropout, which has no weights that tell the device; its neighbours do.
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
