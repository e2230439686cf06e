"""Count the parameters that a method trains, in the body and in the head, and all those that the model has."""

from dataclasses import dataclass

from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import nn

from stages.classifier.families import head_names
from stages.classifier.four_bit import packed_sizes


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters (scalars): trainable = trainable_body + trainable_head <= total."""

    trainable: int
    trainable_body: int
    trainable_head: int
    total: int

    @property
    def trainable_percent(self) -> float:
        return 100 * self.trainable / self.total

    def __str__(self) -> str:
        return (
            f"trainable parameters: {self.trainable:,} of {self.total:,} ({self.trainable_percent:.2f} %): "
            f"{self.trainable_body:,} in the body, {self.trainable_head:,} in the head"
        )


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Count by `requires_grad`; a parameter shared by several modules counts once.

    Two weights in nf4 share a byte, and count as two.

    The untrained copy of the head that PEFT keeps beside the trained one is never used and not part of the total.
    """
    unused = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, ModulesToSaveWrapper)
        for parameter in module.original_module.parameters()
    }
    head = {id(parameter) for module in head_modules(model).values() for parameter in module.parameters()}
    packed = packed_sizes(model)
    counted = [parameter for parameter in model.parameters() if id(parameter) not in unused]
    trainable = [parameter for parameter in counted if parameter.requires_grad]
    return ParameterCounts(
        trainable=sum(parameter.numel() for parameter in trainable),
        trainable_body=sum(parameter.numel() for parameter in trainable if id(parameter) not in head),
        trainable_head=sum(parameter.numel() for parameter in trainable if id(parameter) in head),
        total=sum(packed.get(id(parameter), parameter.numel()) for parameter in counted),
    )


def head_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules of the head by full name: in a PEFT model the trained copies, not the frozen originals."""
    prefix = "base_model.model." if isinstance(model, PeftModel) else ""
    modules = {}
    for name in head_names(model):
        module = model.get_submodule(prefix + name)
        if isinstance(module, ModulesToSaveWrapper):
            adapter = module.active_adapter
            assert isinstance(adapter, str)  # a list only where several adapters are active
            modules[f"{prefix}{name}.modules_to_save.{adapter}"] = module.modules_to_save[adapter]
        else:
            modules[prefix + name] = module
    return modules
