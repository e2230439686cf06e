"""The configuration of a bottleneck adapter, saved as adapter_config.json.

Where the papers place adapters, in these terms (a BERT layer has the modules attention.output.dropout, intermediate.dense and
output.dropout):

- Pfeiffer et al. 2021: `target_modules` is the last module of each feed-forward block, before the residual sum;
- Houlsby et al. 2019: the last module of each attention block too;
- He et al. 2022 ("scaled parallel adapter"): as Pfeiffer et al., with `parallel_inputs` the first module of each feed-forward
  block, `scaling` 4, `non_linearity` relu and `init` lora.
"""

from dataclasses import dataclass, field

from peft import PeftConfig

PEFT_TYPE = "FEEDFORWARD_ADAPTER"
NON_LINEARITIES = ("gelu", "relu")
INITS = ("normal", "lora")


@dataclass
class BottleneckConfig(PeftConfig):
    """Configuration of `BottleneckModel`.

    Args:
        target_modules: regular expression of the full names of the modules whose output h (..., C) the adapter takes:
            each block's last module before the residual sum.
        hidden_size: C, the width of h. A dropout module, the usual target, does not know it.
        bottleneck: width between `down` and `up`.
        init_std: standard deviation of the normal distribution, cut at two standard deviations, from which both
            weights are drawn (Houlsby et al. 2019, section 3.6, use 0.01); the biases start at 0. A small value makes the
            adapter start near the identity.
        modules_to_save: names of modules that are fully trained and saved with the adapters: the head.
        parallel_inputs: None: the adapter reads h and stands behind the block. Otherwise it stands beside the block: a regular
            expression of the full names of the modules whose first argument x (..., C) it reads, one for each target.
        scaling: factor of the adapter's output (He et al. 2022).
        non_linearity: between `down` and `up`: gelu (as Houlsby et al.'s code) or relu (as He et al.'s).
        init: normal, as `init_std` says, or lora: as LoRA's A and B, `down` Kaiming-uniform and `up` zero (He et al. 2022).

    Raises:
        ValueError: there is no target, a width, deviation or factor is not positive, or a name is not one of those above.
    """

    target_modules: str | None = field(default=None, metadata={"help": "Regular expression of the adapted modules."})
    hidden_size: int = field(default=0, metadata={"help": "Width C of the adapted modules' output."})
    bottleneck: int = field(default=64, metadata={"help": "Width of the bottleneck."})
    init_std: float = field(default=0.01, metadata={"help": "Standard deviation of the initial weights."})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Modules trained and saved whole."})
    parallel_inputs: str | None = field(default=None, metadata={"help": "Regular expression: whose input it reads."})
    scaling: float = field(default=1.0, metadata={"help": "Factor of the adapter's output."})
    non_linearity: str = field(default="gelu", metadata={"help": "gelu or relu."})
    init: str = field(default="normal", metadata={"help": "normal or lora: how the weights start."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        if not isinstance(self.target_modules, str) or not self.target_modules:
            raise ValueError(f"target_modules must be a regular expression, received {self.target_modules!r}")
        for name in ("hidden_size", "bottleneck", "init_std", "scaling"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, received {getattr(self, name)!r}")
        for name, allowed in (("non_linearity", NON_LINEARITIES), ("init", INITS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {' or '.join(allowed)}, received {getattr(self, name)!r}")
