"""The versions of the packages that code of ours can load: what it imports, what those need, and what they use if it is there."""

import ast
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

# Extras with which a library is developed. What they name is not loaded when the library works.
DEVELOPMENT = re.compile(
    r"(^|[-_])(all|bench\w*|build|check|ci|cov\w*|dev\w*|doc\w*|example\w*|lint\w*|mypy|quality|style|test\w*|typ\w*)([-_]|$)"
)
# Used only where a parameter asks for it: `stages.project.provenance` then adds it. PEFT loads it wherever it is installed, which
# changes no number of other trainings.
ON_DEMAND = {"bitsandbytes"}
EXTRA = re.compile(r"""extra *== *["']([^"']+)""")  # in the condition of a requirement


def package_versions(code: Iterable[Path]) -> dict[str, str]:
    """Return the installed version of each package that the Python files in `code` can load, by name, in order of name.

    That is: the packages that the files import; then, again and again, what a package requires on this system, and what it
    names in its extras if that is installed, because libraries use an optional package as soon as they find it. `ON_DEMAND`
    is left out.

    It is read from the source and from the packages' own metadata, never from what is loaded at the moment: a progress bar, a
    debugger or a resumed training loads other modules and gives the same answer.

    Args:
        code: files and folders; what is no Python file counts for nothing.
    """
    found: dict[str, str] = {}
    todo = {package for file in python_files(code) for package in _imported(file)} - ON_DEMAND
    while todo:
        name = todo.pop()
        try:
            version, needed = _installed(name)
        except PackageNotFoundError:
            continue
        found[name] = version
        todo |= needed - found.keys()
    return dict(sorted(found.items()))


def python_files(code: Iterable[Path]) -> list[Path]:
    """Return the Python files among `code` and below its folders."""
    return [file for path in code for file in ([path] if path.is_file() else path.rglob("*.py")) if file.suffix == ".py"]


def _imported(file: Path) -> set[str]:
    """The packages of other people that a file imports, anywhere in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.add(node.module)
    return {canonical(package) for module in modules for package in _owners().get(module.partition(".")[0], ())}


@cache
def _owners() -> dict[str, list[str]]:
    """The packages that own each top-level module; none for Python's own modules and for ours."""
    return dict(packages_distributions())


@cache
def _installed(name: str) -> tuple[str, set[str]]:
    """The version of an installed package, and the names of what it needs, or uses if it is there."""
    package = distribution(name)
    needed = set()
    for requirement in map(Requirement, package.requires or ()):
        extras = EXTRA.findall(str(requirement.marker or "")) or [""]
        wanted = [extra for extra in extras if not DEVELOPMENT.search(extra)]
        if not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in wanted):
            needed.add(canonical(requirement.name))
    return package.version, needed


def installed_version(name: str) -> str:
    """The version of an installed package, or "none"."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return "none"


def canonical(name: str) -> str:
    """The name of a package in one spelling: scikit-learn for scikit_learn and Scikit.Learn."""
    return re.sub(r"[-_.]+", "-", name).lower()
