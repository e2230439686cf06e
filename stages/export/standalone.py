"""The adapter's PEFT classes as one Python file that needs only torch and PEFT."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "peft_extras" / "bottleneck"
FILES = ("config.py", "layer.py", "model.py", "__init__.py")  # each uses names of those before it
HEADER = '''"""Bottleneck adapters for PEFT, in one file: import it, and PeftModel.from_pretrained loads the adapter beside it.

Assembled from modules of the project that trained the adapter.
"""
'''


def standalone_module(package: Path = PACKAGE, files: tuple[str, ...] = FILES) -> str:
    """Return the modules `files` of `package` as the text of one module: imports first, without those of each other."""
    imports, bodies = set(), []
    for name in files:
        source = (package / name).read_text(encoding="utf-8")
        nodes = [node for node in ast.parse(source).body if isinstance(node, (ast.Import, ast.ImportFrom))]
        imports |= {ast.unparse(node) for node in nodes if not _is_own(node)}
        bodies.append("\n".join(source.splitlines()[nodes[-1].end_lineno :]).strip())
    ordered = sorted(imports, key=lambda line: (line.startswith("from "), line))
    return "\n".join([HEADER, *ordered]) + "\n\n" + "\n\n\n".join(bodies) + "\n"


def _is_own(node: ast.Import | ast.ImportFrom) -> bool:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return any(name.split(".")[0] in ("stages", "peft_extras") for name in names)
