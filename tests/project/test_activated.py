"""Stages run in the project's environment where it is not activated; a Python without the packages ends in one message."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

SCRIPT = ROOT / "stages/project/activated.sh"


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path):
    """A checkout with an environment whose Python is a link to this one, and a folder of an experiment in it."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / ".dvc/tmp/exps/tmp1").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def tools(tmp_path):
    """A folder with what a shell needs, and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")
    return folder


@pytest.mark.parametrize("place", [".", ".dvc/tmp/exps/tmp1"])
def test_without_activation_it_is_the_python_of_the_checkout(checkout, tools, place):
    command = ("sh", str(SCRIPT), "python", "-c", "import sys; print(sys.executable)")
    done = run(*command, folder=checkout / place, PATH=str(tools))
    assert done.stdout.strip() == str(checkout / ".venv/bin/python"), done.stderr


def test_an_activated_environment_is_kept(checkout, tools):
    (tools / "python").symlink_to(sys.executable)
    command = ("sh", str(SCRIPT), "python", "-c", "import sys; print(sys.executable)")
    done = run(*command, folder=checkout, PATH=str(tools), VIRTUAL_ENV=str(tools))
    assert done.stdout.strip() == str(tools / "python"), done.stderr


def test_no_python_at_all_is_one_message_and_arguments_and_status_pass_through(tmp_path, tools):
    done = run("sh", str(SCRIPT), "python", "-m", "stages.fetch", folder=tmp_path, PATH=str(tools))
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no python in PATH, and no .venv; make the environment with `make setup`")
    (tools / "python").symlink_to(sys.executable)
    done = run(
        "sh", str(SCRIPT), "python", "-c", "import sys; sys.exit(len(sys.argv))", "a b", "c", folder=tmp_path, PATH=str(tools)
    )
    assert done.returncode == 3


@pytest.mark.parametrize("stage", ["fetch", "train_lora", "predict"])
def test_a_python_without_the_packages_says_what_to_do(stage):
    """-S and -I leave out what is installed; the project itself is put back into the path."""
    code = f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module('stages.{stage}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"error: {sys.executable} lacks filelock, pydantic, ")
    assert "(. .venv/bin/activate)" in done.stderr and len(done.stderr.splitlines()) == 1


def test_the_packages_that_are_looked_for_are_required():
    from stages import project

    required = (ROOT / "requirements.in").read_text().lower()
    assert project.MISSING == []
    assert all(name in required for name in ("filelock", "pydantic", "pyyaml", "torch", "transformers", "peft", "datasets"))
