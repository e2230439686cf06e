"""How a stage runs and ends: alone in its folder, and in one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.project.errors import UserError
from stages.project.running import only_stage, run_stage
from tests.imports import ROOT
from tests.stopping import interruptible
from tests.training.tiny import prepare, write_params

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "SAVE_POINT_SECONDS": "0"}


def launch(stage: str, folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )


@pytest.fixture
def long_training(project, params):
    """A folder in which a training runs longer than a test looks at it."""
    prepare(project)
    write_params(project, params, epochs=1000, patience=1000)
    return project


def interrupted(process: subprocess.Popen) -> str:
    """Send Ctrl-C's signal and return what was printed to standard error before the process ended."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGINT, errors
    return errors


@pytest.mark.slow
def test_interrupt_while_libraries_load(long_training):
    process = launch("train_lora", long_training)
    while not any("torch" in line for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines()):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    errors = interrupted(process)
    assert errors.strip().splitlines()[-1].startswith("stopped; `dvc repro` continues from here")
    assert "Traceback" not in errors


def test_what_a_stage_imports_is_not_searched_for_garbage_and_what_comes_later_is():
    code = (
        "import gc, weakref\nfrom stages.project.running import loading\nbefore = len(gc.get_objects())\nwith loading():\n"
        "    import pandas\n    assert not gc.isenabled()\nassert gc.isenabled() and gc.get_freeze_count() > 2 * before > 0\n"
        "class Node: pass\nnode = Node()\nnode.self = node\ngone = weakref.ref(node)\ndel node\n"
        "assert len(gc.get_objects()) < before\ngc.collect()\nassert gone() is None"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_interrupt_while_training_and_a_second_run_in_the_same_folder(long_training):
    process = launch("train_lora", long_training)
    while not list(long_training.glob(".cache/save_points/*.safetensors")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)

    second = launch("train_full", long_training)
    output, errors = second.communicate()
    assert second.returncode == 1 and output == ""
    assert errors.startswith(
        f"error: train_full was not started: train_lora (process {process.pid}) is running in this folder; wait until it ends"
    )
    assert len(errors.splitlines()) == 1

    errors = interrupted(process)
    assert [line for line in errors.splitlines() if line.strip()] == [errors.splitlines()[-1]]
    assert not (long_training / "models/lora").exists()

    process = launch("train_lora", long_training)
    assert any("resuming from step" in line for line in process.stdout)
    process.kill()
    process.communicate()


def test_the_lock_is_free_after_a_stage_and_after_a_failed_one(tmp_path):
    def fail() -> None:
        with only_stage("first", tmp_path):
            with pytest.raises(UserError, match="second was not started: first"), only_stage("second", tmp_path):
                pass
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserError("params.yaml: seed: wrong"), "error: params.yaml: seed: wrong"),
        (OSError(28, "No space left on device", "x"), "error: x could not be read or written: No space left on device"),
        (PermissionError(13, "Permission denied", "data"), "error: data could not be read or written: Permission denied"),
    ],
)
def test_faults_outside_the_code_become_one_message(project, error, message):
    def main():
        raise error

    with pytest.raises(SystemExit) as ended:
        run_stage("evaluate", main)
    assert ended.value.code == message


def test_faults_of_the_code_keep_their_traceback(project):
    with pytest.raises(FileNotFoundError):
        run_stage("evaluate", Path("absent").read_text)
