"""Environment variables that would change results without a word: they are removed, and those that would are named.

accelerate's launcher sets its own for every setting of its default_config.yaml, in each process that it starts, and the
Trainer reads them. This project decides itself: float32, no compilation, and as many processes as `train.launcher` starts.
"""

import os
from collections.abc import Mapping, MutableMapping

from stages.project.processes import is_main_process

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
# Which instructions or algorithms the libraries take, and so how sums are rounded: left as they are, and recorded
ROUNDING = (
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_MAX_CPU_ISA",
    "KMP_DETERMINISTIC_REDUCTION",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
)
WITHOUT_EFFECT = {"", "0", "no", "none", "false", "off", "strict"}  # values that ask for what is done anyway
# Settings of accelerate, each of which changes a training by itself; the others only say how one of these is to be done
SWITCHES = {f"ACCELERATE_{name}": WITHOUT_EFFECT for name in (
    "DYNAMO_BACKEND", "MIXED_PRECISION", "TORCH_DEVICE", "USE_CPU", "USE_DEEPSPEED", "USE_FSDP", "USE_MEGATRON_LM",
    "USE_PARALLELISM_CONFIG", "USE_SAGEMAKER",
)}  # fmt: skip
SWITCHES["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] = {"1", "auto"}
SWITCHES["ACCELERATE_GRADIENT_CLIPPING"] = {"", "auto", "none"}
# What everything is computed in; recorded beside the inputs of each stage
PRECISION = "float32"


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
            f"environment: {', '.join(told)} has no effect here: this project computes in {PRECISION}, on the GPU if there is "
            "one, and params.yaml decides the rest",
            flush=True,
        )


def recorded_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that may change how sums are rounded, those of them that are set, under the names of a record."""
    return {f"environment {name}": environment[name] for name in ROUNDING if name in environment}
