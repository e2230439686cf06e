"""Several processes under a launcher train what one process trains, and only the first of them writes."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.training.tiny import results, write_params

BIN = Path(sys.executable).parent
TWO = {
    "torchrun": [BIN / "torchrun", "--standalone", "--nproc-per-node=2"],
    "accelerate": [BIN / "accelerate", "launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0"],  # its --cpu needs MPI
}


def run(command, module="stages.train_full", **environment) -> str:
    done = subprocess.run(
        [*command, "-m", module],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def trained(folder: Path, method: str) -> dict[str, torch.Tensor]:
    (path,) = (folder / "models" / method).glob("*.safetensors")
    return load_file(path)


@pytest.mark.parametrize(("launcher", "method"), [("torchrun", "full"), ("torchrun", "lora"), ("accelerate", "adapter")])
def test_two_processes_train_what_one_trains_with_two_micro_batches(prepared, with_params, launcher, method):
    """Without dropout and mixout the weights agree up to the order of floating-point sums, AWP included."""
    write_params(prepared, with_params(mixout={"enabled": False}))
    run([sys.executable], f"stages.train_{method}")
    alone, curve = trained(prepared, method), pd.read_csv(prepared / f"plots/learning_curves/{method}.csv")
    output = run(TWO[launcher], f"stages.train_{method}")
    together = trained(prepared, method)
    assert together.keys() == alone.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-5, rtol=1e-4, msg=name)
    pd.testing.assert_frame_equal(pd.read_csv(prepared / f"plots/learning_curves/{method}.csv"), curve, atol=1e-4, rtol=1e-3)
    summary = json.loads((prepared / f"metrics/training/{method}.json").read_text())
    assert (summary["processes"], summary["micro_batch_size"], summary["accumulation_steps"]) == (2, 4, 1)
    assert summary["awp_steps"] > 0
    assert len(re.findall(r"^epoch 1/2", output, re.MULTILINE)) == 1  # one process speaks


def test_two_processes_draw_masks_of_their_own_and_go_on_after_a_kill(prepared, with_params):
    """Killed and taken up again, with dropout's and mixout's random numbers of each process, they end in the same bytes."""
    config = json.loads((prepared / "models/base/config.json").read_text())
    (prepared / "models/base/config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.1}))
    write_params(prepared, with_params(), epochs=4)
    run(TWO["torchrun"], SAVE_POINT_SECONDS="0")
    straight = results(prepared)
    group = subprocess.Popen(
        [*TWO["torchrun"], "-m", "stages.train_full"],
        env={**os.environ, "SAVE_POINT_SECONDS": "0", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    point = prepared / ".cache/save_points/full.safetensors"
    while not point.exists() and group.poll() is None:
        time.sleep(0.01)
    for process in [*psutil.Process(group.pid).children(recursive=True), group]:
        process.kill()
        process.wait()
    assert "going on from step" in run(TWO["torchrun"], SAVE_POINT_SECONDS="0")
    assert results(prepared) == straight


def test_processes_that_cannot_share_the_batch_are_refused(prepared, with_params):
    write_params(prepared, with_params(), micro_batch_size=8)
    done = subprocess.run([*TWO["torchrun"], "-m", "stages.train_full"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "train.batch_size: must be a multiple of micro_batch_size x processes = 8 x 2, received 8" in done.stderr
    assert not (prepared / "models/full").exists()
