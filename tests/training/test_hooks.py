"""The private names of transformers that training relies on: the library still has them, and training uses no others."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from transformers import Trainer, trainer, training_args

from stages.training.trainer import PRIVATE_HOOKS, FineTuningTrainer
from tests.imports import ROOT

HOOKS = set(PRIVATE_HOOKS)
PUBLIC = ("os._exit",)  # documented, in spite of its name
SOURCE = inspect.getsource(trainer) + inspect.getsource(training_args)
OWN_METHODS = [name for name, value in vars(FineTuningTrainer).items() if inspect.isfunction(value) and name != "__init__"]
OVERRIDDEN = [name for name in OWN_METHODS if hasattr(Trainer, name)]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_names(path: Path) -> tuple[set[str], set[str]]:
    """Private attributes that a file uses or overrides, and those that it defines for itself."""
    used, own = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            names = {part.name for part in node.body if isinstance(part, ast.FunctionDef) and is_private(part.name)}
            (used if node.name == FineTuningTrainer.__name__ else own).update(names)
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node) not in PUBLIC:
            used.add(node.attr)
            if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self":
                own.add(node.attr)
    return used, own


def test_every_private_name_is_a_word_of_the_librarys_source():
    assert [name for name in sorted(HOOKS) if not re.search(rf"\b{name}\b", SOURCE)] == []


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_overridden_method_takes_what_the_library_passes(name):
    """In the same order and under the same names."""
    passed = list(inspect.signature(getattr(Trainer, name)).parameters)
    ours = inspect.signature(getattr(FineTuningTrainer, name))
    bound = ours.bind(*passed).arguments
    assert all(key in ("args", "kwargs") or key == value for key, value in bound.items())


def test_every_private_method_that_is_overridden_exists_in_the_library():
    own = {name for name in OWN_METHODS if is_private(name)}
    assert own and own <= HOOKS and own <= set(OVERRIDDEN)


def test_training_uses_these_private_names_and_no_others():
    found = [private_names(path) for path in sorted((ROOT / "stages/training").glob("*.py"))]
    used, own = (set().union(*names) for names in zip(*found, strict=True))
    assert used - own == HOOKS
