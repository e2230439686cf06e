"""What dvc.lock says: which files DVC's last run of a stage read and left, and with which parameters."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stages.project.parameters import leaf_values

LOCK = Path("dvc.lock")


def locked_stages() -> dict[str, Any]:
    """Return the stages of dvc.lock by name; {} if there is none or it is damaged."""
    try:
        return dict(yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}


def locked_parameters(stage: Any) -> dict[str, Any] | None:
    """Return the parameters of a stage of dvc.lock by dotted name, or None if it records none."""
    try:
        return leaf_values(stage["params"]["params.yaml"])
    except (KeyError, TypeError, AttributeError):
        return None


def left_by(stage: Any, *paths: Path) -> bool:
    """Whether each of `paths` is, byte for byte, what the run of `stage` that dvc.lock records left or took from its cache."""
    return _all_recorded(stage, "outs", paths)


def read_by(stage: Any, *paths: Path) -> bool:
    """Whether each of `paths` is, byte for byte, what the run of `stage` that dvc.lock records read."""
    return _all_recorded(stage, "deps", paths)


def differing_inputs(stage: Any, folders: tuple[str, ...]) -> list[str]:
    """Return the files and folders below `folders` that `stage` read and that are here with another content."""
    recorded = _hashes(stage, "deps")
    return [name for name, md5 in recorded.items() if name.startswith(folders) and dvc_hash(Path(name)) not in (None, md5)]


def dvc_hash(path: Path) -> str | None:
    """Return the hash by which dvc.lock names the content of `path`, or None if nothing is there.

    For a file it is its MD5; for a folder, the MD5 of the JSON list of {"md5", "relpath"} of its files in order of relpath,
    with ".dir" behind it.
    """
    if path.is_dir():
        files = sorted((file.relative_to(path) for file in path.rglob("*") if file.is_file()), key=Path.as_posix)
        listed = [{"md5": _md5(path / file), "relpath": file.as_posix()} for file in files]
        return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
    return _md5(path) if path.is_file() else None


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _all_recorded(stage: Any, kind: str, paths: Sequence[Path]) -> bool:
    recorded = _hashes(stage, kind)
    return all(recorded.get(path.as_posix(), "none") == dvc_hash(path) for path in paths)


def _hashes(stage: Any, kind: str) -> Mapping[str, str]:
    try:
        return {entry["path"]: entry["md5"] for entry in stage[kind]}
    except (KeyError, TypeError):
        return {}
