"""The tuner: puts a `BottleneckLayer` around every target module of a base model."""

import re

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
            layer = target
        else:
            layer = BottleneckLayer(target, adapter_name, config, device)
            if adapter_name not in self.active_adapters:
                layer.requires_grad_(False)
            setattr(parent, target_name, layer)
        if config.parallel_inputs is not None:
            first = self._first_of_block(config.parallel_inputs, current_key)
            if layer.read_input not in first._forward_pre_hooks.values():
                first.register_forward_pre_hook(layer.read_input)  # a bound method: copies of the model call the copied layer

    def _first_of_block(self, names: str, target: str) -> nn.Module:
        """Return the module that matches `names` and shares more leading parts of its name with `target` than all others do."""
        shared = {
            name: next((i for i, (a, b) in enumerate(zip(name.split("."), parts, strict=False)) if a != b), len(parts))
            for parts in [target.split(".")]
            for name, _ in self.model.named_modules()
            if re.fullmatch(names, name)
        }
        nearest = [name for name, length in shared.items() if length == max(shared.values())]
        if len(nearest) != 1:
            raise ValueError(f"parallel_inputs must name one module beside {target}, received {names!r}, which names {nearest}")
        return self.model.get_submodule(nearest[0])

    def unload(self) -> nn.Module:
        """Return the base model without adapters, and without the hooks by which they read inputs.

        PEFT's method gives the wrapped module the wrapper's weight, which a dropout does not have.
        """
        for name, layer in list(self.model.named_modules()):
            if isinstance(layer, BottleneckLayer):
                parent, _, last = name.rpartition(".")
                setattr(self.model.get_submodule(parent), last, layer.base_layer)
            for key, hook in list(layer._forward_pre_hooks.items()):
                if isinstance(getattr(hook, "__self__", None), BottleneckLayer):
                    del layer._forward_pre_hooks[key]
        return super().unload()

    def _check_merge_allowed(self) -> None:
        next(layer for layer in self.model.modules() if isinstance(layer, BottleneckLayer)).merge()
