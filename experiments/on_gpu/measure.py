"""The command: which parts are measured, in which order."""

import argparse
from collections.abc import Callable

import torch

from experiments.on_gpu import latency, memory, steps, training
from experiments.on_gpu.context import described, measure_context
from stages.project.errors import UserError
from stages.project.files import write_json
from stages.project.parameters import load_params
from stages.project.schema import Params
from stages.report.facts import GPU_METRICS

PARTS: dict[str, Callable[[Params, torch.device], None]] = {
    "memory": memory.measure,
    "steps": steps.measure,
    "latency": latency.measure,
    "training": training.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.on_gpu", description="Measure on a CUDA GPU.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of {', '.join(PARTS)}; all if none is named")
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := sorted(set(parts) - set(PARTS)):
        raise UserError(f"unknown part(s) {', '.join(unknown)}; use some of {', '.join(PARTS)}")
    if not torch.cuda.is_available():
        raise UserError("a CUDA GPU is needed, and PyTorch finds none here; the pipeline itself runs on a CPU: dvc repro")
    params, device = load_params(), torch.device("cuda", 0)
    write_json(GPU_METRICS / "machine.json", described(params, device, measure_context(device)))
    for part in PARTS:
        if part in parts:
            PARTS[part](params, device)
