"""What the environment may not decide: it is removed, and named where it would have changed results."""

import os
import subprocess
import sys

import pytest

from stages.project.environment import ROUNDING, computed_in, recorded_environment, settle_environment
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
        "ACCELERATE_MIXED_PRECISION=bf16, ACCELERATE_USE_FSDP=true, NVIDIA_TF32_OVERRIDE=1 has no effect here: params.yaml "
        "decides the precision (train.precision, evaluate.precision)"
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


@pytest.mark.parametrize(
    ("stage", "train", "evaluate", "expected"),
    [
        ("train_lora", "fp32", "bf16", "float32"),
        ("train_full", "bf16", "fp32", "bfloat16 (autocast)"),
        ("evaluate", "bf16", "fp16", "float16 (autocast)"),
        ("benchmark", "bf16", "bf16", "bfloat16 (autocast)"),
        ("benchmark", "bf16", "fp32", "training bfloat16 (autocast), inference float32"),
        ("prepare", "bf16", "bf16", "float32"),
    ],
)
def test_the_recorded_precision_is_the_parameter_that_the_stage_follows(with_params, stage, train, evaluate, expected):
    assert computed_in(stage, with_params(train={"precision": train}, evaluate={"precision": evaluate})) == expected


def test_what_changes_rounding_only_is_recorded():
    environment = {"MKL_CBWR": "COMPATIBLE", "PATH": "/bin"}
    settle_environment(environment)
    assert recorded_environment(environment) == {"environment MKL_CBWR": "COMPATIBLE"}


STEERING = (
    *("MKL_CBWR", "MKL_DEBUG_CPU_TYPE", "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS", "MKL_NUM_STRIPES", "MKL_DOMAIN_NUM_THREADS"),
    *("MKL_DISABLE_FAST_MM", "MKL_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS", "DNNL_MAX_CPU_ISA"),
    *("KMP_DETERMINISTIC_REDUCTION", "KMP_FORCE_REDUCTION", "FBGEMM_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE"),
    *("CUBLAS_WORKSPACE_CONFIG", "CUDNN_ATTENTION", "TORCH_MKLDNN_MATMUL_MIN_DIM", "TORCH_CUDNN_USE_HEURISTIC_MODE_B"),
    *("TORCH_BLAS_PREFER_CUBLASLT", "TORCH_LINALG_PREFER_CUSOLVER", "PYTORCH_TUNABLEOP_ENABLED", *ROUNDING),
)
SPEAKING = (
    *("MKL_VERBOSE", "MKL_VERBOSE_OUTPUT_FILE", "ONEDNN_VERBOSE", "ONEDNN_JIT_DUMP", "ONEDNN_JIT_PROFILE"),
    *("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_VERBOSE", "KMP_AFFINITY", "KMP_BLOCKTIME", "CUDNN_LOGINFO_DBG"),
    *("TORCH_CUDNN_V8_API_DEBUG", "PYTORCH_TUNABLEOP_FILENAME", "TORCH_LOGS", "OMP_PLACES", "GOMP_SPINCOUNT", "HOME"),
)


@pytest.mark.parametrize("name", STEERING)
def test_each_variable_that_steers_arithmetic_is_recorded_with_its_value(name):
    assert recorded_environment({name: "1", "PATH": "/bin"}) == {f"environment {name}": "1"}
    assert recorded_environment({name: "1"}) != recorded_environment({name: "2"}) != recorded_environment({})


@pytest.mark.parametrize("name", SPEAKING)
def test_what_only_prints_or_says_where_threads_and_files_are_is_not(name):
    assert recorded_environment({name: "1"}) == {}
