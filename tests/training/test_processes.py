"""Several processes under a launcher train what one process trains, and only rank 0 writes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from stages.methods.registry import method_of
from stages.training import launch as training_launch
from stages.training.launch import LAUNCHED
from stages.training.run import train
from tests.imports import ROOT
from tests.training.tiny import DYING, results, write_params

BIN = Path(sys.executable).parent
TWO = {
    "torchrun": [BIN / "torchrun", "--standalone", "--nproc-per-node=2"],
    "accelerate": [
        BIN / "accelerate",
        "launch",
        "--multi_gpu",
        "--num_processes=2",
        "--main_process_port=0",
    ],  # its --cpu needs MPI
}


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(command: list, module: str = "stages.train_full", **environment: str) -> str:
    done = subprocess.run([*command, "-m", module], env=ENVIRONMENT | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def launch(stage: str) -> subprocess.CompletedProcess:
    """What dvc.yaml calls."""
    return subprocess.run([sys.executable, "-m", f"stages.{stage}"], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def trained(folder: Path, method: str) -> dict[str, torch.Tensor]:
    (path,) = (folder / "models" / method).glob("*.safetensors")
    return load_file(path)


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "method"), [("train.launcher", "full"), ("accelerate", "adapter")])
def test_two_processes_train_what_one_trains_with_two_micro_batches(prepared, with_params, launcher, method):
    """Without dropout and mixout the weights agree up to the order of floating-point sums, AWP included.

    Once the stage starts the launcher that params.yaml names. For LoRA, see test_awp_in_training.py.
    """
    params = with_params(mixout={"enabled": False})
    write_params(prepared, params)
    train(method_of(method))
    alone, curve = trained(prepared, method), pd.read_csv(prepared / f"plots/learning_curves/{method}.csv")
    if launcher == "train.launcher":
        write_params(prepared, params, launcher="torchrun --standalone --nproc-per-node=2")
    output = run(TWO.get(launcher, [sys.executable]), f"stages.train_{method}")
    together = trained(prepared, method)
    assert together.keys() == alone.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-5, rtol=1e-4, msg=name)
    pd.testing.assert_frame_equal(pd.read_csv(prepared / f"plots/learning_curves/{method}.csv"), curve, atol=1e-4, rtol=1e-3)
    summary = json.loads((prepared / f"metrics/training/{method}.json").read_text())
    assert (summary["processes"], summary["micro_batch_size"], summary["accumulation_steps"]) == (2, 4, 1)
    assert summary["awp_steps"] > 0
    assert len(re.findall(r"^epoch 1/2", output, re.MULTILINE)) == 1  # only rank 0 prints


@pytest.mark.slow
def test_two_processes_draw_masks_of_their_own_and_resume_after_a_kill(prepared, with_params):
    """Killed and resumed, with dropout's and mixout's random numbers of each process, they end in the same bytes."""
    config = json.loads((prepared / "models/base/config.json").read_text())
    (prepared / "models/base/config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.1}))
    write_params(prepared, with_params(), epochs=4)
    run(TWO["torchrun"], SAVE_POINT_SECONDS="0")
    straight = results(prepared)
    (prepared / "dying.py").write_text(DYING)
    killed = subprocess.run(
        [*TWO["torchrun"], "dying.py"], env=ENVIRONMENT | {"SAVE_POINT_SECONDS": "0"}, capture_output=True, check=False
    )
    assert killed.returncode and (prepared / ".cache/save_points/full.safetensors").exists()
    assert "resuming from step" in run(TWO["torchrun"], SAVE_POINT_SECONDS="0")
    assert results(prepared) == straight


@pytest.mark.slow
def test_processes_that_cannot_share_the_batch_are_refused(prepared, with_params):
    """Before any of them is started, in one line."""
    write_params(prepared, with_params(), micro_batch_size=8, launcher="torchrun --standalone --nproc-per-node=2")
    done = launch("train_full")
    assert done.returncode == 1
    assert done.stderr == (
        "error: train.batch_size: must be a multiple of micro_batch_size x processes = 8 x 2, received 8; change one of them\n"
    )
    assert not (prepared / "models/full").exists()


@pytest.mark.slow
def test_only_rank_0_reports_an_error(prepared, with_params):
    write_params(prepared, with_params())
    (prepared / "data/processed/labels.json").unlink()
    done = subprocess.run([*TWO["torchrun"], "-m", "stages.train_full"], capture_output=True, text=True, check=False)
    assert done.returncode and done.stderr.count("error: data/processed/labels.json: no such file") == 1


# rank 1 fails at once; rank 0 late, or not at all and is then stopped
FAULT = """
import os, sys, time
from stages.project import processes
from stages.project.errors import UserError
from stages.project.running import report_errors

processes.PATIENCE, first_fails_after = map(float, sys.argv[1:])
with report_errors():
    if os.environ["RANK"] == "0":
        time.sleep(first_fails_after)
    raise UserError("a fault")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("patience", "first_fails_after"), [("60", "1"), ("0.5", "3600")], ids=["of all", "of rank 1 alone"])
def test_a_fault_is_told_once_whoever_has_it_and_whoever_is_faster(tmp_path, patience, first_fails_after):
    (tmp_path / "fault.py").write_text(FAULT)
    command = [*TWO["torchrun"], tmp_path / "fault.py", patience, first_fails_after]
    done = subprocess.run(command, env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode and done.stderr.count("error: a fault") == 1, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        ("bash", "train.launcher: "),
        ("torchrun --nproc-per-node 3", "micro_batch_size x processes = 4 x 3, received 8"),
        ("torchrun --nproc-per-node=0", "train.launcher: it must start at least one process, received"),
        ("torchrun --standalone --nproc-per-node=two", "Unsupported nproc_per_node value: two), received"),
    ],
)
def test_a_launch_that_cannot_work_ends_in_one_message(prepared, with_params, launcher, message):
    write_params(prepared, with_params(), launcher=launcher)
    done = launch("train_full")
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("launcher", "launched"), [("python", None), ("torchrun --nproc-per-node=2", "1")])
def test_launching_returns_in_a_process_that_is_to_train(prepared, with_params, monkeypatch, launcher, launched):
    write_params(prepared, with_params(), launcher=launcher)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("the process was replaced"))
    if launched:
        monkeypatch.setenv(LAUNCHED, launched)
    else:
        monkeypatch.delenv(LAUNCHED, raising=False)
    training_launch.launch("train_full")
