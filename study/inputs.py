"""python -m study.inputs

Writes metrics/study/inputs/METHOD.json: a hash for everything on which the cells of a method depend, apart from their own
parameters. DVC compares these files, so a change of any of it makes the cells of that method stale.

 - code: the files that dvc.yaml names for the training of the method, and those of the study that its cells read, but not those
   in NEUTRAL. Comments, docstrings and blank lines do not count: they change no number, and the study takes hours;
 - data and encoder: as dvc.lock names them, so that they need not be there where all cells are finished;
 - packages: the versions that requirements.txt pins of those that compute, whatever else is installed;
 - settings: those of study/params.yaml that the method reads.

Machine and environment are not in it: finished cells stay finished on any machine, and a cell's process starts without the
variables that decide how sums are rounded (study/state.py).
"""

import ast
import hashlib
import io
import re
import tokenize
from pathlib import Path
from typing import Any

import yaml

from stages.project.errors import UserError
from stages.project.files import content_hash, read_json, write_json
from stages.project.parameters import leaf_values
from stages.project.paths import BASE_MODEL, PROCESSED
from stages.project.pipeline import parameter_keys, stage_definitions
from stages.project.running import report_errors
from stages.project.schema import METHODS as TRAINED
from study.definition import METHODS
from study.paths import INPUTS
from study.settings import Study, load_study

LOCK = Path("dvc.lock")
DATA = {PROCESSED.as_posix(): "prepare", BASE_MODEL.as_posix(): "fetch"}  # and the stage that writes it
# What cells read beside the training of their method: a test compares it with what study/cell.py imports. Not in it: where files
# are (paths), how long a cell took (timing), and what study/params.yaml may contain (settings), whose values are compared.
CODE = (
    "stages/methods/registry.py",
    "stages/prepare/splitting.py",
    *(f"study/{name}.py" for name in ("cell", "cosine", "definition", "head", "plain", "rates_file", "texts")),
)
# What a training imports and no number of a cell depends on: how a stage runs, is recorded and resumed, what parameters may be
# (their values are compared), how memory is predicted. A test looks at what a training calls of these.
NEUTRAL = frozenset((
    *(f"stages/train_{name}.py" for name in TRAINED),
    *(f"stages/project/{name}.py" for name in (
        "durations", "errors", "files", "git", "inactive", "packages", "parameters", "parent", "paths", "pipeline", "provenance",
        "revision", "running", *(f"schema/{part}" for part in ("__init__", "data", "fields", "params", "training")),
    )),
    *(f"stages/training/{name}.py" for name in (
        "agent", "arithmetic", "divergence", "launch", "nodes", "results", "resumption", "save_point",
    )),
    *(f"stages/memory/{name}.py" for name in ("inputs", "predict", "tracker")),
    *(f"stages/classifier/{name}.py" for name in ("confusions", "saving")),
))  # fmt: skip
REQUIREMENTS = Path("requirements.txt")
PACKAGES = ("accelerate", "datasets", "numpy", "peft", "pyarrow", "safetensors", "scikit-learn", "scipy", "tokenizers", "torch",
            "transformers")  # fmt: skip
ALWAYS = ("seed", "data.", "evaluate.")  # settings that every method's cells read


def main() -> list[str]:
    """Write the files that changed, and return the methods that they belong to."""
    study, changed = load_study(), []
    for method in METHODS:
        path, found = INPUTS / f"{method}.json", inputs_of(method, study)
        if not path.is_file() or read_json(path) != found:
            write_json(path, found)
            changed.append(method)
    return changed


def inputs_of(method: str, study: Study) -> dict[str, dict[str, Any]]:
    """Return what the cells of `method` depend on, by kind and name.

    Raises:
        UserError: dvc.yaml or dvc.lock does not name what it should.
    """
    # the head alone is trained by what all trainings share, which is what full fine-tuning reads
    stage = stage_definitions()[f"train_{'full' if method == 'head' else method}"]
    deps = [dep for dep in (*stage["deps"], *CODE) if not dep.startswith(("data/", "models/"))]
    code = sorted({file for dep in deps for file in _files(Path(dep)) if file.as_posix() not in NEUTRAL})
    named = set(parameter_keys(stage["params"]))
    settings = leaf_values(study.settings.model_dump())
    settings = {key: value for key, value in settings.items() if key in named or key.startswith(ALWAYS)}
    return {
        "code": {file.as_posix(): code_hash(file) for file in code if has_code(file)},
        "data": data_hashes(),
        "packages": pinned_versions(),
        "settings": settings | ({"head.epochs_factor": study.head.epochs_factor} if method == "head" else {}),
    }


def require_current(method: str, study: Study) -> None:
    """Check that the file of `method` says what is there now: its hash is what DVC will record for the cell that starts.

    Raises:
        UserError: something was changed since; the message names what.
    """
    path, now = INPUTS / f"{method}.json", inputs_of(method, study)
    try:
        then = read_json(path)
    except (OSError, ValueError):
        then = {}
    changed = [
        name
        for kind in now
        for name in sorted({*now[kind], *then.get(kind, {})})
        if now[kind].get(name) != then.get(kind, {}).get(name)
    ]
    if changed:
        raise UserError(
            f"{path}: {', '.join(changed[:4])}{' ...' if changed[4:] else ''} changed since it was written; the cell was not "
            "trained, as it would be recorded with what was there before; `make study` brings the file up to date, or put it back"
        )


def pinned_versions() -> dict[str, str]:
    """Return the versions that requirements.txt pins of the packages that compute.

    Raises:
        UserError: one is not pinned there.
    """
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), flags=re.MULTILINE))
    if lost := [name for name in PACKAGES if name not in pins]:
        raise UserError(f"{REQUIREMENTS}: does not pin {', '.join(lost)}, with which the cells compute; add NAME==VERSION")
    return {name: pins[name] for name in PACKAGES}


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def code_hash(path: Path) -> str:
    """SHA-256 of a file; of Python code, without comments, docstrings and blank lines."""
    return (
        hashlib.sha256(bare(path.read_text(encoding="utf-8")).encode()).hexdigest()
        if path.suffix == ".py"
        else content_hash(path)
    )


def has_code(path: Path) -> bool:
    """Whether a file has more than words, as an `__init__` that only holds a docstring has not."""
    return path.suffix != ".py" or bool(bare(path.read_text(encoding="utf-8")))


def bare(source: str) -> str:
    """Return Python code without comments, docstrings and blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            text = node.body[0]
            for number in range(text.lineno - 1, text.end_lineno or text.lineno):
                lines[number] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def data_hashes() -> dict[str, str]:
    """Return DVC's hashes of the prepared texts and of the encoder."""
    try:
        stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
        return {path: next(out["md5"] for out in stages[stage]["outs"] if out["path"] == path) for path, stage in DATA.items()}
    except (OSError, KeyError, TypeError, StopIteration, yaml.YAMLError):
        raise UserError(f"{LOCK}: does not know {' and '.join(DATA)}; run dvc repro prepare first") from None


if __name__ == "__main__":
    with report_errors():
        print(f"changed: {', '.join(main()) or 'nothing'}")
