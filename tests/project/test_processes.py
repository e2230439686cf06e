"""Variables of a cluster or a scheduler: a training refuses them in one message, every other stage ignores them."""

import os
import subprocess
import sys

import pytest

from stages.project.errors import UserError
from stages.project.processes import COUNT, INDEX, SET_BY_LAUNCHERS, forget_launcher, is_launched, require_one_process
from stages.project.running import run_stage
from tests.imports import ROOT
from tests.training.tiny import prepare, write_params


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    """No variable of a launcher, and what a test removes comes back."""
    for name in {*INDEX, *COUNT, *SET_BY_LAUNCHERS}:
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"RANK": "1"}, "RANK=1 says"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 says"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "x"}, "LOCAL_RANK=x, WORLD_SIZE=2 says"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "unset OMPI_COMM_WORLD_SIZE"),
    ],
)
def test_a_training_refuses_what_says_that_others_train_too(monkeypatch, variables, named):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"train\.launcher") as error:
        require_one_process()
    assert named in str(error.value)


def test_a_first_and_only_process_trains_and_its_variables_are_forgotten(monkeypatch):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    require_one_process()
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE"} & set(os.environ)


def test_only_all_variables_of_a_launcher_mean_that_there_is_one(monkeypatch):
    for name in SET_BY_LAUNCHERS:
        assert not is_launched()
        monkeypatch.setenv(name, "0")
    assert is_launched()
    forget_launcher()
    assert not is_launched()


def test_a_stage_that_is_not_a_training_is_one_process_and_tells_its_errors(project, monkeypatch, capsys):
    for name in SET_BY_LAUNCHERS:
        monkeypatch.setenv(name, "1")

    def fail():
        print("printed")
        raise UserError("something is wrong")

    with pytest.raises(SystemExit) as ended:
        run_stage("prepare", fail)
    assert ended.value.code == "error: something is wrong"
    assert capsys.readouterr().out == "printed\n"


@pytest.mark.slow
def test_a_training_in_a_pod_ends_in_one_line(project, params):
    prepare(project)
    write_params(project, params)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "pod-0"}
    command = [sys.executable, "-m", "stages.train_lora"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: environment: RANK=1, WORLD_SIZE=2 says that several processes train")
    assert len(done.stderr.splitlines()) == 1
