"""The peak memory of a training step for every row of the memory plan, on a GPU with no more memory than the plan's budget."""

import gc
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from typing import Any

import torch

from experiments.on_gpu.four_bit import is_installed
from experiments.on_gpu.models import CLASSES, config_of, precisions, random_model, settings_of
from stages.benchmark.peak import CudaMeter
from stages.benchmark.training_step import TrainingStep
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, SHORTEST
from stages.memory.recompute import recompute_activations
from stages.plan.stage import OWN
from stages.planning.table import Row, plan
from stages.project.files import read_json, write_csv
from stages.project.schema import METHODS, Params
from stages.report.facts import GPU_METRICS

CASE = ("model", "method", "awp", "gradient_checkpointing", "precision", "frozen_dtype", "length")
HEADER = (*CASE, "micro_batch_size", "accumulation_steps", "predicted_mib", "measured_mib", "reserved_mib", "fits")


@dataclass(frozen=True)
class Peaks:
    """In MiB: what tensors took at the highest, and what the allocator reserved; `fits`: within the budget."""

    allocated: float
    reserved: float
    fits: bool


def measure(params: Params, device: torch.device) -> None:
    """Write metrics/gpu/memory.csv."""
    context = read_json(GPU_METRICS / "machine.json")["context_mib"]
    rows = []
    for row in planned(params, device):
        found = peaks_within(row, params, device, context)
        case = [getattr(row, name) for name in CASE]
        sizes = row.micro_batch_size or 1, row.accumulation_steps or params.train.batch_size
        numbers = round(row.peak_mib, 1), round(found.allocated, 1), round(found.reserved, 1)
        rows.append((*case, *sizes, *numbers, found.fits))
        print(*rows[-1], flush=True)
        write_csv(GPU_METRICS / "memory.csv", HEADER, rows)


def planned(params: Params, device: torch.device) -> list[Row]:
    """The rows of the memory plan as a run on this machine predicts them, and LoRA's beside frozen weights in nf4."""
    variants = [params]
    if is_installed():
        train = params.train.model_copy(update={"precision": "bf16", "frozen_dtype": "nf4"})
        variants.append(params.model_copy(update={"train": train}))
    jobs = [job for job in product((OWN, *params.plan.models), METHODS, variants) if job[1] == "lora" or job[2] is params]
    with ProcessPoolExecutor(min(len(jobs), os.cpu_count() or 1), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        found = [row for some in pool.map(plan_of, *zip(*jobs, strict=True)) for row in some]
    kept = {tuple(getattr(row, name) for name in CASE): row for row in found}
    supported = precisions(device)
    return [row for row in kept.values() if row.precision in supported and (row.frozen_dtype != "nf4" or not row.awp)]


def plan_of(encoder: str, method: str, params: Params) -> list[Row]:
    """The rows of one encoder and method."""
    return plan(encoder, config_of(encoder), CLASSES, method, settings_of(encoder, params))


def peaks_within(row: Row, params: Params, device: torch.device, context_mib: float) -> Peaks:
    """Return the peaks of the planned step within the budget, or, where that is too little, without a limit.

    The budget is that of a whole card: the CUDA context takes its part of it, and the allocator gets the rest. A step that even
    this card cannot take has no peaks.
    """
    total = torch.cuda.get_device_properties(device).total_memory
    allowed = params.train.memory_budget_gib * 2**30 - context_mib * MIB
    for within, share in ((True, min(max(allowed, 0) / total, 1.0)), (False, 1.0)):
        torch.cuda.set_per_process_memory_fraction(share, device)
        try:
            return Peaks(*peaks_of_step(row, params, device, CudaMeter(device)), fits=within)
        except torch.cuda.OutOfMemoryError:
            continue
        finally:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(1.0, device)
    return Peaks(float("nan"), float("nan"), fits=False)


def peaks_of_step(row: Row, params: Params, device: torch.device, meter: Any) -> tuple[float, float]:
    """Take the planned step once the optimizer has its state; return the meter's two peaks in MiB."""
    model = random_model(row.model, row.method, params, device, row.frozen_dtype)
    if row.gradient_checkpointing:
        recompute_activations(model)
    step = TrainingStep(model, params.train.max_grad_norm, params.awp, row.precision)
    inputs = RandomInputs(config_of(row.model).vocab_size, CLASSES, params.seed, device)
    size = row.micro_batch_size or 1
    short, long = ((inputs.batch(size, tokens), inputs.labels(size)) for tokens in (min(SHORTEST, row.length), row.length))
    step.take([short], awp=False)
    meter.reset()
    # all but the first of accumulated micro-batches are computed while gradients already exist
    step.take([long] if size == params.train.batch_size else [short, long], awp=row.awp)
    allocated, reserved = meter.peaks().values()
    return allocated / MIB, reserved / MIB
