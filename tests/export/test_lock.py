"""dvc.lock: our hash of a file and of a folder is DVC's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from stages.export.lock import differing_inputs, dvc_hash, left_by, locked_stages, read_by

FILES = {
    "folder/b.txt": "b",
    "folder/a.txt": "a",
    "folder/sub/c": "",
    "folder/sub-c": "x",
    "folder/é.txt": "é",
    "one.bin": "1" * 5000,
}
PIPELINE = "stages: {make: {cmd: python make.py, deps: [make.py], outs: [folder, one.bin]}}"


@pytest.fixture
def locked(tmp_path, monkeypatch) -> dict:
    """A folder in which DVC ran a stage; returns the stage as dvc.lock records it."""
    monkeypatch.chdir(tmp_path)
    lines = ["from pathlib import Path"]
    for name, content in FILES.items():
        lines += [
            f"Path({name!r}).parent.mkdir(parents=True, exist_ok=True)",
            f"Path({name!r}).write_text({content!r}, encoding='utf-8')",
        ]
    Path("make.py").write_text("\n".join(lines), encoding="utf-8")
    Path("dvc.yaml").write_text(PIPELINE.replace("python", sys.executable))
    for command in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], check=True, capture_output=True)
    return locked_stages()["make"]


@pytest.mark.slow
def test_hashes_are_those_of_dvc(locked):
    assert left_by(locked, Path("folder"), Path("one.bin")) and read_by(locked, Path("make.py"))
    assert dvc_hash(Path("folder")).endswith(".dir") and dvc_hash(Path("gone")) is None
    Path("folder/sub/c").write_text("changed")
    assert not left_by(locked, Path("folder")) and left_by(locked, Path("one.bin"))
    assert not left_by(locked, Path("gone")) and not left_by(None, Path("one.bin"))


@pytest.mark.slow
def test_inputs_that_changed_are_named_and_those_that_are_gone_are_not(locked):
    assert differing_inputs(locked, ("make",)) == []
    Path("make.py").write_text("pass")
    assert differing_inputs(locked, ("make",)) == ["make.py"] and differing_inputs(locked, ("data/",)) == []
    Path("make.py").unlink()
    assert differing_inputs(locked, ("make",)) == []
