"""What must have the same bytes: everything in git except the timings, and the report except where it quotes them."""

import subprocess
import sys

import pytest

from experiments.verify import TIMINGS, Checkout, committed
from stages.project.errors import UserError
from stages.project.paths import DURATIONS

REPORT = """
from pathlib import Path
Path("REPORT.md").write_text(Path("metrics/f1.json").read_text() + Path("metrics/timing/lora.json").read_text())
"""


def git(folder, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def source(tmp_path):
    """A committed project of some results and a report that quotes a score and a timing."""
    folder = tmp_path / "source"
    for name in (*TIMINGS, str(DURATIONS), "metrics/f1.json", "dvc.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name} 1\n")
    (folder / "stages").mkdir()
    (folder / "stages/__init__.py").touch()  # a package like the real one, which may also be on the path
    (folder / "stages/report.py").write_text(REPORT)
    (folder / ".gitignore").write_text("__pycache__\n")
    subprocess.run([sys.executable, "stages/report.py"], cwd=folder, check=True)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "results")
    return folder


def test_timings_and_what_quotes_them_may_differ(source, tmp_path):
    again = Checkout(source, tmp_path / "another place")
    for name in (*TIMINGS, str(DURATIONS)):
        (again.folder / name).write_text("other timings\n")
    (again.folder / "REPORT.md").write_text("metrics/f1.json 1\nother timings\n")
    assert again.differences() == []


@pytest.mark.parametrize("name", ["dvc.lock", "metrics/f1.json"])
def test_any_other_difference_is_found(source, tmp_path, name):
    again = Checkout(source, tmp_path / "another place")
    (again.folder / name).write_text("other\n")
    assert f" M {name}" in again.differences()


def test_a_new_file_is_found(source, tmp_path):
    again = Checkout(source, tmp_path / "another place")
    (again.folder / "metrics/new.json").touch()
    assert again.differences() == ["?? metrics/new.json"]


def test_only_committed_results_can_be_verified(source):
    assert committed(source) == source
    (source / "dvc.lock").write_text("changed")
    with pytest.raises(UserError, match=r"M dvc\.lock"):
        committed(source)


def test_a_command_that_fails_is_shown(source, tmp_path):
    again = Checkout(source, tmp_path / "another place")
    with pytest.raises(UserError, match=r"git frobnicate in .*another place ended with status 1"):
        again.run("git", "frobnicate")
