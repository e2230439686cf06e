"""Sharded weights (FSDP2) train what one process trains; what does not go with them is refused in one message."""

import os
import re
import subprocess
import sys
import warnings

import pytest
import torch
from safetensors.torch import load_file

from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.training import run
from stages.training.sharding_options import check_sharding, is_sharded, plain_options
from tests.training.tiny import DYING, results, write_params

SHARDED = "accelerate launch --use_fsdp --fsdp_version=2 --num_processes=2 --main_process_port=0"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# PyTorch 2.13's FSDP2 on CPUs has damaged the heap once in some 130 trainings of two processes; glibc then says one of these
CRASHES = ("double free or corruption", "corrupted size vs. prev_size", "free(): invalid", "malloc(): ", "munmap_chunk(): ")
ALLOWED = {"acceleration": False, "precision": "fp32"}


def train(*command: str, **environment: str) -> subprocess.CompletedProcess:
    command = command or ("-m", "stages.train_full")
    return subprocess.run(
        [sys.executable, *command], env=ENVIRONMENT | environment, capture_output=True, text=True, check=False, timeout=300
    )


def succeeded(*command: str) -> str:
    """What a training printed; one that crashed in a library is started again, as docs/scaling.md says, and that is told."""
    done = train(*command)
    if done.returncode and (found := next((crash for crash in CRASHES if crash in done.stderr), None)):
        warnings.warn(f"a process of a sharded training ended with {found!r}; it was started again", stacklevel=2)
        done = train(*command)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
def test_two_processes_with_sharded_weights_train_what_one_process_trains(prepared, with_params):
    """To rounding without random masks, gradient accumulation and early stopping included; the file holds whole tensors."""
    params = with_params(mixout={"enabled": False})
    settings = {**ALLOWED, "epochs": 4, "patience": 1, "micro_batch_size": 2}
    write_params(prepared, params, awp=False, **settings)
    run.train(method_of("full"))
    alone = load_file(prepared / "models/full/model.safetensors")
    write_params(prepared, params, awp=False, **settings, launcher=SHARDED)
    output = succeeded()
    together = load_file(prepared / "models/full/model.safetensors")
    assert {name: weight.shape for name, weight in together.items()} == {name: weight.shape for name, weight in alone.items()}
    assert "no effect" not in output
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-5, rtol=1e-4, msg=name)


@pytest.mark.slow
def test_each_process_holds_its_share_draws_masks_of_its_own_and_resumes_after_a_kill(prepared, with_params):
    params = with_params(mixout={"enabled": True})
    write_params(prepared, params, awp=False, **ALLOWED, epochs=4, micro_batch_size=2)
    run.train(method_of("full"))
    alone = load_file(prepared / "models/full/model.safetensors")
    write_params(prepared, params, awp=False, **ALLOWED, epochs=4, micro_batch_size=2, launcher=SHARDED)
    (prepared / "sizes.py").write_text(
        "import runpy\n"
        "from torch.distributed.tensor import DTensor\n"
        "from stages.training import run\n"
        "gathered = run.gathered\n"
        "def told(model, *rest):\n"
        "    tensors = [tensor for _, tensor in run.trained_weights(model)]\n"
        "    assert all(isinstance(tensor, DTensor) for tensor in tensors)\n"
        "    own, all_of_it = sum(t.to_local().numel() for t in tensors), sum(t.numel() for t in tensors)\n"
        "    print(f'holds {own} of {all_of_it}')\n"
        "    return gathered(model, *rest)\n"
        "run.gathered = told\n"
        "runpy.run_module('stages.train_full', run_name='__main__')\n"
    )
    launcher = ("-m", "stages.training.agent", "torchrun", "--standalone", "--nproc-per-node=2")
    output = succeeded(*launcher, "sizes.py")
    (found,) = re.findall(r"holds (\d+) of (\d+)", output)
    assert 0.5 <= int(found[0]) / int(found[1]) < 0.55
    assert "no effect" not in output
    straight = results(prepared)
    together = load_file(prepared / "models/full/model.safetensors")
    assert {name: weight.shape for name, weight in together.items()} == {name: weight.shape for name, weight in alone.items()}
    assert any(not torch.equal(together[name], weight) for name, weight in alone.items())
    (prepared / "dying.py").write_text(DYING)
    killed = train(*launcher, "dying.py", SAVE_POINT_SECONDS="0")
    assert killed.returncode and (prepared / ".cache/save_points/full.safetensors").exists()
    assert "the process of rank 0 was killed (SIGKILL)" in killed.stderr and "Traceback" not in killed.stderr
    assert "resuming from step" in succeeded()
    assert results(prepared) == straight


@pytest.mark.parametrize(
    ("launcher", "stage", "sections", "message"),
    [
        (SHARDED, "train_full", {"awp": {"enabled": True}}, "awp.enabled: must be false"),
        (SHARDED, "train_full", {"train": {"acceleration": True}}, "train.acceleration: must be false"),
        (SHARDED, "train_full", {"train": {"precision": "bf16"}}, "train.precision: must be fp32, received bf16"),
        (SHARDED, "train_lora", {}, "train_lora trains few weights"),
        (SHARDED + " --fsdp_offload_params=true", "train_full", {}, "received --fsdp_offload_params=true"),
        (SHARDED.replace("=2 ", "=1 ", 1), "train_full", {}, "only --fsdp_version=2 is supported, received --fsdp_version=1"),
        ("torchrun --use_fsdp", "train_full", {}, "--use_fsdp is an option of accelerate launch"),
        ("accelerate launch --fsdp_version=2", "train_full", {}, "has no effect without --use_fsdp"),
    ],
)
def test_what_does_not_go_with_sharded_weights_is_refused_by_name(with_params, launcher, stage, sections, message):
    train_section = {**ALLOWED, **sections.get("train", {}), "launcher": launcher}
    params = with_params(**{"awp": {"enabled": False}, **sections, "train": train_section})
    with pytest.raises(UserError, match=re.escape(message)):
        check_sharding(stage, params)


def test_the_launcher_starts_the_processes_and_this_project_shards(with_params):
    """accelerate's own option would train unsharded on a CPU, without a word."""
    params = with_params(awp={"enabled": False}, train={**ALLOWED, "launcher": SHARDED})
    check_sharding("train_full", params)
    assert is_sharded(params)
    assert plain_options(SHARDED.split()[1:]) == ["launch", "--multi_gpu", "--num_processes=2", "--main_process_port=0"]
