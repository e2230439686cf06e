"""Which modules of our own a module imports, directly or not, read from the source without running it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("stages", "peft_extras")  # whose code the pipeline runs
MODULE = re.compile(rf"({'|'.join(PACKAGES)})(\.\w+)+")


def module_file(name: str) -> Path | None:
    """The file of module `name` relative to the project, or None if it is no module of ours."""
    base = Path(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / path).is_file():
            return path
    return None


def direct_imports(path: Path) -> set[Path]:
    """Files of our packages that the file at `path` imports or starts by name, with the packages that contain them."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            names.add(node.value)  # what `python -m` is to run
    parents = {".".join(name.split(".")[:i]) for name in names for i in range(1, name.count(".") + 2)}
    return {file for name in parents if name.split(".")[0] in PACKAGES and (file := module_file(name))}


def import_closure(module: str) -> set[str]:
    """Files of our packages that running `python -m module` reads; empty `__init__` files are left out."""
    found, todo = set(), {module_file(module)}
    while todo:
        path = todo.pop()
        found.add(path)
        todo |= direct_imports(path) - found
    return {path.as_posix() for path in found if has_code(path)}


def has_code(path: Path) -> bool:
    """Whether a file holds more than its docstring: what holds none cannot change a result."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)
