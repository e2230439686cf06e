"""A task of srun gets the names that PyTorch reads."""

import subprocess

import pytest

from stages.project.errors import UserError
from stages.project.processes import adopt_srun

TASK = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "node[07-08]",
}


@pytest.fixture
def scontrol(monkeypatch):
    """What SLURM prints for a list of nodes; no SLURM is needed."""
    done = subprocess.CompletedProcess([], 0, "node07\nnode08\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


def test_a_task_knows_its_rank_and_where_all_meet(scontrol):
    environment = dict(TASK)
    adopt_srun(environment)
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")
    assert [environment[name] for name in names] == ["3", "1", "4", "node07"]
    assert 12_000 <= int(environment["MASTER_PORT"]) < 32_000


def test_two_steps_meet_on_different_ports_and_all_tasks_of_a_step_on_one(scontrol):
    ports = []
    for changed in ({}, {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, {"SLURM_STEP_ID": "3"}, {"SLURM_JOB_ID": "8"}):
        environment = TASK | changed
        adopt_srun(environment)
        ports.append(environment["MASTER_PORT"])
    assert ports[0] == ports[1] and len(set(ports)) == 3


def test_a_launcher_around_srun_does_not_count_and_a_chosen_address_does(scontrol):
    environment = TASK | {"RANK": "0", "WORLD_SIZE": "9", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
    adopt_srun(environment)
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    assert [environment[name] for name in names] == ["3", "4", "10.0.0.1", "29500"]


def test_a_process_that_is_no_task_is_refused():
    with pytest.raises(UserError, match="srun set no SLURM_PROCID, SLURM_LOCALID, SLURM_STEP_NUM_TASKS"):
        adopt_srun({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"})


def test_a_list_of_nodes_that_nobody_can_read_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"SLURM_STEP_NODELIST='node.07-08.'; set MASTER_ADDR"):
        adopt_srun(dict(TASK))
