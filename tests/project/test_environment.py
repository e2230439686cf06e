"""What the environment may not decide: it is removed, and named where it would have changed results."""

import os
import subprocess
import sys

import pytest

from stages.project.environment import recorded_environment, settle_environment
from tests.imports import ROOT


def test_what_would_change_results_is_removed_and_named(capsys):
    environment = {
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_OFFLOAD_PARAMS": "true",
        "ACCELERATE_DYNAMO_BACKEND": "INDUCTOR",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4",
        "NVIDIA_TF32_OVERRIDE": "1",
        "PATH": "/bin",
        "OMP_NUM_THREADS": "3",
    }
    settle_environment(environment)
    assert environment == {"PATH": "/bin", "OMP_NUM_THREADS": "3"}
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "environment: ACCELERATE_DYNAMO_BACKEND=INDUCTOR, ACCELERATE_GRADIENT_ACCUMULATION_STEPS=4, "
        "ACCELERATE_MIXED_PRECISION=bf16, ACCELERATE_USE_FSDP=true, NVIDIA_TF32_OVERRIDE=1 has no effect here: this project "
        "computes in float32"
    )


def test_what_accelerate_sets_where_nothing_was_asked_for_is_removed_without_a_word(capsys):
    environment = {
        "ACCELERATE_MIXED_PRECISION": "no",
        "ACCELERATE_DYNAMO_BACKEND": "NO",
        "ACCELERATE_DYNAMO_MODE": "default",
        "ACCELERATE_USE_CPU": "False",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1",
    }
    settle_environment(environment)
    assert environment == {} and capsys.readouterr().out == ""


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_stage_settles_it_before_it_imports_anything_and_only_rank_0_tells(rank):
    code = (
        "import os, sys\nfrom stages.project.running import loading\nwith loading():\n"
        "    assert 'torch' not in sys.modules and not [name for name in os.environ if name.startswith('ACCELERATE_')]\n"
    )
    environment = {**os.environ, "ACCELERATE_MIXED_PRECISION": "bf16", "RANK": rank}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ("ACCELERATE_MIXED_PRECISION=bf16 has no effect" in done.stdout) == (rank == "0")


def test_what_changes_rounding_only_is_recorded():
    environment = {"MKL_CBWR": "COMPATIBLE", "PATH": "/bin"}
    settle_environment(environment)
    assert recorded_environment(environment) == {"environment MKL_CBWR": "COMPATIBLE"}
