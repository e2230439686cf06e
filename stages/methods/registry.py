"""All methods by name, for the stages that compare them."""

from types import ModuleType

from stages.methods import adapter, full, lora

METHODS: dict[str, ModuleType] = {module.NAME: module for module in (full, lora, adapter)}
