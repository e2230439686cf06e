"""How a stage ends: alone, in one line, and at once."""

import os
import signal
import subprocess
import sys
import time

import pytest

from stages.project.errors import UserError
from stages.project.running import only_stage, run_stage
from tests.imports import ROOT
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
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.fixture
def long_training(project, params):
    """A folder in which a training takes minutes."""
    prepare(project)
    write_params(project, params, epochs=1000, patience=1000)
    return project


def interrupted(process: subprocess.Popen) -> str:
    """Send Ctrl-C's signal and return what was printed to standard error, which must take few seconds."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT, errors
    return errors


def test_interrupt_while_libraries_load(long_training):
    process = launch("train_lora", long_training)
    while not any("torch" in line for line in open(f"/proc/{process.pid}/maps")):
        time.sleep(0.01)
    errors = interrupted(process)
    assert errors.strip().splitlines()[-1].startswith("stopped; `dvc repro` goes on from here")
    assert "Traceback" not in errors


def test_interrupt_while_training_and_a_second_run_in_the_same_folder(long_training):
    process = launch("train_lora", long_training)
    while not list(long_training.glob(".cache/save_points/*.safetensors")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)

    second = launch("train_full", long_training)
    output, errors = second.communicate(timeout=60)
    assert second.returncode == 1 and output == ""
    assert errors.startswith(
        f"error: train_full was not started: train_lora (process {process.pid}) is running in this folder; wait until it ends"
    )
    assert len(errors.splitlines()) == 1

    errors = interrupted(process)
    assert [line for line in errors.splitlines() if line.strip()] == [errors.splitlines()[-1]]
    assert not (long_training / "models/lora").exists()

    process = launch("train_lora", long_training)
    assert any("going on from step" in line for line in process.stdout)
    process.kill()
    process.communicate()


def test_the_lock_is_free_after_a_stage_and_after_a_failed_one(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), only_stage("first", tmp_path):
            with pytest.raises(UserError, match="second was not started: first"), only_stage("second", tmp_path):
                pass
            raise ZeroDivisionError


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
        run_stage(main)
    assert ended.value.code == message


def test_faults_of_the_code_keep_their_traceback(project):
    with pytest.raises(FileNotFoundError):
        run_stage(lambda: open("absent"))
