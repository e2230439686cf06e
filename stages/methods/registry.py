"""All methods by name, for the stages that compare them."""

from stages.methods import adapter, full, lora
from stages.methods.method import Method
from stages.project.schema import METHODS

_MODULES: dict[str, Method] = {"full": full, "lora": lora, "adapter": adapter}


def method_of(name: str) -> Method:
    """Return the method called `name`, one of `METHODS`."""
    return _MODULES[name]


if tuple(_MODULES) != METHODS:
    raise AssertionError(f"the schema knows the methods {METHODS}, the registry {tuple(_MODULES)}")
