"""The adapter itself: a module that adds s up(f(down(...))) to what the wrapped module returns."""

import math
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from peft_extras.bottleneck.config import BottleneckConfig


class BottleneckLayer(nn.Module, BaseTunerLayer):
    """Wraps the last module of a block and adds a bottleneck to its output.

    Formula: forward(...) = h + s (W_up f(W_down z + b_down) + b_up), with h = base_layer(...) of shape (..., C),
    W_down (bottleneck, C), W_up (C, bottleneck): 2 C bottleneck + bottleneck + C parameters.
    Behind the block z = h (Houlsby et al. 2019, figure 2). Beside it z = x, the block's input, of the shape of h (He et al.
    2022, table 1), which a hook on the block's first module hands over: see `read_input`.
    """

    adapter_layer_names = ("feedforward_adapter_down", "feedforward_adapter_up")
    other_param_names = ()

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig, device: torch.device):
        super().__init__()
        self.base_layer = base_layer
        self.feedforward_adapter_down = nn.ModuleDict()
        self.feedforward_adapter_up = nn.ModuleDict()
        self.configs: dict[str, BottleneckConfig] = {}
        self.block_input: torch.Tensor | None = None
        self.merged_adapters = []
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config, device)

    def update_layer(self, adapter_name: str, config: BottleneckConfig, device: torch.device) -> None:
        """Add the adapter `adapter_name`, initialized from torch's random number generator."""
        down = nn.Linear(config.hidden_size, config.bottleneck, device=device)
        up = nn.Linear(config.bottleneck, config.hidden_size, device=device)
        if config.init == "lora":
            nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5))
            nn.init.zeros_(up.weight)
        else:
            for linear in (down, up):
                bound = 2 * config.init_std
                nn.init.trunc_normal_(linear.weight, std=config.init_std, a=-bound, b=bound)
        for linear in (down, up):
            nn.init.zeros_(linear.bias)
        self.feedforward_adapter_down[adapter_name] = down
        self.feedforward_adapter_up[adapter_name] = up
        self.configs[adapter_name] = config
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def read_input(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Keep the first argument of `module`, the block's first, for the next call of `forward`; a forward pre-hook."""
        self.block_input = args[0]

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        h = self.base_layer(*args, **kwargs)
        x, self.block_input = self.block_input, None  # no longer than needed: it would keep its memory
        if self.disable_adapters:
            return h
        for name in self.active_adapters:
            if name in self.feedforward_adapter_down:
                h = h + self._update(name, h, x)
        return h

    def _update(self, name: str, h: torch.Tensor, x: torch.Tensor | None) -> torch.Tensor:
        config, down, up = self.configs[name], self.feedforward_adapter_down[name], self.feedforward_adapter_up[name]
        z = h if config.parallel_inputs is None else x
        if z is None:
            raise RuntimeError("the parallel adapter's block ran without its first module, whose input the adapter reads")
        update = up(getattr(nn.functional, config.non_linearity)(down(z)))
        return update if config.scaling == 1 else update * config.scaling

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse: the nonlinearity between `down` and `up` cannot be absorbed by a weight of the base model."""
        used = self.configs[self.active_adapters[0]].non_linearity
        raise NotImplementedError(
            f"a bottleneck adapter cannot be merged: with {used} between its two projections it is not a linear map "
            "that a weight of the base model could absorb; keep the adapter (or use LoRA, which merges)"
        )

    def unmerge(self) -> None:
        """Do nothing, since nothing is ever merged."""
