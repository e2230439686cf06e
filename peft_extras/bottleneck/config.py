"""The configuration of a bottleneck adapter, saved as adapter_config.json."""

from dataclasses import dataclass, field

from peft import PeftConfig

PEFT_TYPE = "FEEDFORWARD_ADAPTER"


@dataclass
class BottleneckConfig(PeftConfig):
    """Configuration of `BottleneckModel`.

    Args:
        target_modules: regular expression of the full names of the modules whose output h (..., C) the adapter takes:
            each feed-forward block's last module before the residual sum.
        hidden_size: C, the width of h. A dropout module, the usual target, does not know it.
        bottleneck: width between `down` and `up`.
        init_std: standard deviation of the normal distribution, cut at two standard deviations, from which both
            weights are drawn (Houlsby et al. 2019, section 3.6, use 0.01); the biases start at 0. A small value makes the
            adapter start near the identity.
        modules_to_save: names of modules that are fully trained and saved with the adapters: the head.

    Raises:
        ValueError: there is no target, or a width or deviation is not positive.
    """

    target_modules: str | None = field(default=None, metadata={"help": "Regular expression of the adapted modules."})
    hidden_size: int = field(default=0, metadata={"help": "Width C of the adapted modules' output."})
    bottleneck: int = field(default=64, metadata={"help": "Width of the bottleneck."})
    init_std: float = field(default=0.01, metadata={"help": "Standard deviation of the initial weights."})
    modules_to_save: list[str] | None = field(default=None, metadata={"help": "Modules trained and saved whole."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE
        if not isinstance(self.target_modules, str) or not self.target_modules:
            raise ValueError(f"target_modules must be a regular expression, received {self.target_modules!r}")
        for name in ("hidden_size", "bottleneck", "init_std"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, received {getattr(self, name)!r}")
