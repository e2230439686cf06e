"""The time of a training step by encoder, precision and method."""

import torch

from experiments.on_gpu.context import leaving_room
from experiments.on_gpu.four_bit import is_installed
from experiments.on_gpu.models import CLASSES, cases, config_of, random_model
from stages.benchmark.training_step import TrainingStep, time_training_steps
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.plan.stage import OWN
from stages.project.files import write_csv
from stages.project.schema import Params
from stages.report.facts import GPU_METRICS

HEADER = ("encoder", "precision", "frozen_dtype", "method", "micro_batch_size", "length", "step_ms", "step_awp_ms", "texts_per_s")


def measure(params: Params, device: torch.device) -> None:
    """Write metrics/gpu/steps.csv: steps of `train.batch_size` texts of `data.max_length` tokens in one micro-batch."""
    rows, four_bit = [], is_installed()
    for encoder in (OWN, *params.plan.models):
        for pair, methods in cases(device, four_bit).items():
            with leaving_room(f"{encoder} in {pair}"):
                rows += timed(encoder, pair, methods, params, device)
    write_csv(GPU_METRICS / "steps.csv", HEADER, rows)


def timed(encoder: str, pair: tuple[str, str], methods: list[str], params: Params, device: torch.device) -> list[tuple]:
    """Return a row for each of `methods`, timed in turn."""
    precision, frozen_dtype = pair
    batching, length = Batching(params.train.batch_size, 1), params.data.max_length
    inputs = RandomInputs(config_of(encoder).vocab_size, CLASSES, params.seed, device)
    steps = {}
    for method in methods:
        model = random_model(encoder, method, params, device, "same" if method == "full" else frozen_dtype)
        steps[method] = TrainingStep(model, params.train.max_grad_norm, params.awp, precision)
    rows = []
    for method, times in time_training_steps(steps, inputs, batching, length).items():
        plain = times["plain"]
        texts = 1000 * params.train.batch_size / plain
        case = encoder, precision, frozen_dtype, method, params.train.batch_size, length
        rows.append((*case, round(plain, 2), round(times["awp"], 2), round(texts)))
        print(*rows[-1], flush=True)
    return rows
