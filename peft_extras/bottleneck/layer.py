"""The adapter itself: a module that returns h + up(f(down(h))), where h is what the wrapped module returns."""

from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from peft_extras.bottleneck.config import BottleneckConfig


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """Wraps the last module of a feed-forward block and adds a bottleneck to its output.

    Formula: forward(...) = h + W_up gelu(W_down h + b_down) + b_up, with h = base_layer(...) of shape (..., C),
    W_down (bottleneck, C), W_up (C, bottleneck): 2 C bottleneck + bottleneck + C parameters
    (Houlsby et al. 2019, figure 2; placed as by Pfeiffer et al. 2021, after the feed-forward block only).
    """

    adapter_layer_names = ("feedforward_adapter_down", "feedforward_adapter_up")
    other_param_names = ()

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig, device: torch.device):
        super().__init__()
        self.base_layer = base_layer
        self.feedforward_adapter_down = nn.ModuleDict()
        self.feedforward_adapter_up = nn.ModuleDict()
        self.merged_adapters = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config, device)

    def update_layer(self, adapter_name: str, config: BottleneckConfig, device: torch.device) -> None:
        """Add the adapter `adapter_name`, initialized from torch's random number generator."""
        down = nn.Linear(config.hidden_size, config.bottleneck, device=device)
        up = nn.Linear(config.bottleneck, config.hidden_size, device=device)
        for linear in (down, up):
            bound = 2 * config.init_std
            nn.init.trunc_normal_(linear.weight, std=config.init_std, a=-bound, b=bound)
            nn.init.zeros_(linear.bias)
        self.feedforward_adapter_down[adapter_name] = down
        self.feedforward_adapter_up[adapter_name] = up
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        h = self.base_layer(*args, **kwargs)
        if self.disable_adapters:
            return h
        for name in self.active_adapters:
            if name in self.feedforward_adapter_down:
                down, up = self.feedforward_adapter_down[name], self.feedforward_adapter_up[name]
                h = h + up(nn.functional.gelu(down(h)))
        return h

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse: the nonlinearity between `down` and `up` cannot be absorbed by a weight of the base model."""
        raise NotImplementedError(
            "a bottleneck adapter cannot be merged: with gelu between its two projections it is not a linear map "
            "that a weight of the base model could absorb; keep the adapter (or use LoRA, which merges)"
        )

    def unmerge(self) -> None:
        """Do nothing, since nothing is ever merged."""
