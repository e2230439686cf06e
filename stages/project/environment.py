"""Environment variables that would change results without a word: they are removed, and those that would are named.

accelerate's launcher sets its own for every setting of its default_config.yaml, in each process that it starts, and the
Trainer reads them. params.yaml decides instead: `train.precision` and `evaluate.precision`, no compilation, and as many
processes as `train.launcher` starts.
"""

import os
import re
from collections.abc import Mapping, MutableMapping

from stages.project.processes import is_main_process
from stages.project.schema import Params

LIBRARY = ("ACCELERATE_", "FSDP_", "MEGATRON_LM_", "PARALLELISM_CONFIG_")  # how all of a library's variables begin
# PyTorch and what it computes with: half precision, or TensorFloat-32, in place of float32
NUMBERS = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "XLA_DOWNCAST_BF16",
    "XLA_USE_BF16",
)
# What decides instructions, algorithms, or how work is split, and so how sums are rounded: left as it is, and recorded.
# Whole families where nearly all members do, see QUIET; of the others the names that do.
ROUNDING_FAMILIES = (
    "CUBLASLT_", "CUBLAS_", "CUDNN_", "HIPBLASLT_", "MIOPEN_", "ROCBLAS_",  # GPUs
    "BLIS_", "FBGEMM_", "MKL_", "OPENBLAS_", "VECLIB_",  # matrix products on CPUs
    "DNNL_", "MKLDNN_", "ONEDNN_",  # oneDNN under its three names
    "KMP_",  # the OpenMP of Intel and LLVM
    "PYTORCH_MIOPEN_", "PYTORCH_TUNABLEOP_", "TORCH_BLAS_", "TORCH_CUDNN_", "TORCH_LINALG_", "TORCH_MKLDNN_", "TORCH_ROCM_",
)  # fmt: skip
ROUNDING = (
    "ATEN_CPU_CAPABILITY",
    "FLASH_ATTENTION_DETERMINISTIC",
    "GLIBC_TUNABLES",  # glibc.cpu.hwcaps chooses between versions of exp and log
    "GOTO_NUM_THREADS",  # OpenBLAS
    "HSA_OVERRIDE_GFX_VERSION",
    "MKL_DEBUG_CPU_TYPE",  # it only sounds like one that prints: MKL before 2020.1 chooses its kernels by it
    "NCCL_ALGO", "NCCL_MAX_CTAS", "NCCL_MAX_NCHANNELS", "NCCL_MIN_CTAS", "NCCL_MIN_NCHANNELS", "NCCL_NTHREADS", "NCCL_PROTO",
    "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES",
    # not OMP_NUM_THREADS: the number of threads is recorded itself, and set or not, the same number gives the same results
    "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS", "OMP_NESTED", "OMP_SCHEDULE", "OMP_THREAD_LIMIT",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "TORCH_LINEAR_FLATTEN_3D",
    "TRANSFORMERS_DISABLE_DEEPGEMM_LINEAR", "TRANSFORMERS_SDPA_FORCE_GQA",
    "USE_HUB_KERNELS",
)  # fmt: skip
# members of a family that only print, or say where threads, code and memory are kept
QUIET = re.compile(
    r".*(_DEBUG\w*|_LOG\w*|_VERBOSE\w*|_DUMP\w*|_JIT_?(DUMP|PROFILE)\w*|_CACHE_CAPACITY|_CACHE_LIMIT|_FILENAME|_PATH|_LIBPATH|_DIR)"
    r"|KMP_(AFFINITY|BLOCKTIME|FOR_\w+|SETTINGS|STACKSIZE|VERSION|WARNINGS)|FBGEMM_STATS_\w+|MKL_FAST_MEMORY_LIMIT"
)
WITHOUT_EFFECT = {"", "0", "no", "none", "false", "off", "strict"}  # values that ask for what is done anyway
# Settings of accelerate, each of which changes a training by itself; the others only say how one of these is to be done
SWITCHES = {f"ACCELERATE_{name}": WITHOUT_EFFECT for name in (
    "DYNAMO_BACKEND", "MIXED_PRECISION", "TORCH_DEVICE", "USE_CPU", "USE_DEEPSPEED", "USE_FSDP", "USE_MEGATRON_LM",
    "USE_PARALLELISM_CONFIG", "USE_SAGEMAKER",
)}  # fmt: skip
SWITCHES["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] = {"1", "auto"}
SWITCHES["ACCELERATE_GRADIENT_CLIPPING"] = {"", "auto", "none"}
# What a precision of params.yaml computes in; recorded beside the inputs of each stage
COMPUTED_IN = {"fp32": "float32", "bf16": "bfloat16 (autocast)", "fp16": "float16 (autocast)"}


def settle_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove the variables that would change results, and print one line with those that would have.

    Call it before PyTorch is imported, which reads some of them then; a second call has nothing left to do.
    """
    found = [name for name in environment if name.startswith(LIBRARY) or name in NUMBERS]
    values = {name: environment.pop(name) for name in sorted(found)}
    deciding = SWITCHES | dict.fromkeys(NUMBERS, WITHOUT_EFFECT)
    told = [f"{name}={value}" for name, value in values.items() if name in deciding and value.lower() not in deciding[name]]
    if told and is_main_process():
        print(
            f"environment: {', '.join(told)} has no effect here: params.yaml decides the precision (train.precision, "
            "evaluate.precision) and the rest, and a GPU is used if there is one",
            flush=True,
        )


def computed_in(stage: str, params: Params) -> str:
    """Return the precision in which `stage` computes, in words; training and inference apart where both are in the stage."""
    training, inference = COMPUTED_IN[params.train.precision], COMPUTED_IN[params.evaluate.precision]
    if stage == "benchmark" and training != inference:
        return f"training {training}, inference {inference}"
    if stage.startswith("train_") or stage == "benchmark":
        return training
    return inference if stage == "evaluate" else COMPUTED_IN["fp32"]


def recorded_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that may change how sums are rounded, those of them that are set, under the names of a record."""
    return {f"environment {name}": environment[name] for name in sorted(environment) if _rounds(name)}


def _rounds(name: str) -> bool:
    in_family = name.startswith(ROUNDING_FAMILIES) and not QUIET.fullmatch(name)
    return in_family or name in ROUNDING
