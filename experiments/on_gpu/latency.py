"""The time of a forward pass by encoder, precision, batch size and length."""

import torch
from peft import PeftModel
from torch import nn

from experiments.on_gpu.context import leaving_room
from experiments.on_gpu.models import CLASSES, config_of, precisions, random_model
from stages.benchmark.arms import TRAINED_AS
from stages.benchmark.latency import measure_latency
from stages.classifier.low_precision import cast_for_inference
from stages.memory.inputs import RandomInputs
from stages.plan.stage import OWN
from stages.project.files import write_csv
from stages.project.schema import Params
from stages.report.facts import GPU_METRICS

HEADER = (
    "encoder",
    "precision",
    "method",
    "batch_size",
    "length",
    "median_ms",
    "p95_ms",
    "ratio_to_full",
    "ratio_low",
    "ratio_high",
)


def measure(params: Params, device: torch.device) -> None:
    """Write metrics/gpu/latency.csv."""
    rows = []
    for encoder in (OWN, *params.plan.models):
        for precision in precisions(device):
            with leaving_room(f"{encoder} in {precision}"):
                rows += timed(encoder, precision, params, device)
    write_csv(GPU_METRICS / "latency.csv", HEADER, rows)


def timed(encoder: str, precision: str, params: Params, device: torch.device) -> list[tuple]:
    """Return a row for each method, LoRA merged and unmerged, at each shape of `benchmark`."""
    inputs = RandomInputs(config_of(encoder).vocab_size, CLASSES, params.seed, device)
    models = arms(encoder, params, device)
    for model in models.values():
        cast_for_inference(model, precision)
    found, _ = measure_latency(models, inputs, params.benchmark, precision)
    rows = []
    for one in found:
        ratio = one.ratio
        numbers = [round(value, 3) for value in (one.median_ms, one.p95_ms, ratio.value, ratio.low, ratio.high)]
        rows.append((encoder, precision, one.arm, one.batch_size, one.length, *numbers))
    shown = [row for row in rows if row[3:5] == (max(params.benchmark.batch_sizes), max(params.benchmark.lengths))]
    print(*shown, sep="\n", flush=True)
    return rows


def arms(encoder: str, params: Params, device: torch.device) -> dict[str, nn.Module]:
    """The models whose inference is compared, with random weights, in evaluation mode."""
    models = {arm: random_model(encoder, method, params, device) for arm, method in TRAINED_AS.items()}
    unmerged = models["lora_merged"]
    assert isinstance(unmerged, PeftModel)
    models["lora_merged"] = unmerged.merge_and_unload()
    return {arm: model.eval() for arm, model in models.items()}
