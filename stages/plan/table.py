"""The memory plan: for each case the largest micro-batch that fits into the budget, and the memory of a step with it.

Worker processes import `plan` from here: multiprocessing does not find functions of a `__main__`.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import NamedTuple

import torch
from tqdm import tqdm
from transformers import PreTrainedConfig

from stages.classifier.families import family_of
from stages.classifier.splits import load_labels
from stages.memory.batching import divisors
from stages.memory.budget import RESERVE_MIB, largest_that_fits
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, PredictedMemory, predict_training_memory
from stages.memory.recompute import recompute_activations
from stages.methods.registry import method_of
from stages.plan.architectures import configurations, unloaded_model
from stages.project.files import write_csv
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS
from stages.project.schema import METHODS, Params

COLUMNS = (
    "model",
    "method",
    "awp",
    "gradient_checkpointing",
    "length",
    "micro_batch_size",
    "accumulation_steps",
    "budget_gib",
    "reserve_mib",
    "peak_mib",
    "weights_mib",
    "gradients_mib",
    "optimizer_state_mib",
    "activations_mib",
    "awp_buffer_mib",
)


class Case(NamedTuple):
    """One row of the plan."""

    model: str
    method: str
    awp: bool
    checkpointing: bool


def main() -> None:
    params, labels = load_params(), load_labels()
    cases = cases_for(configurations(BASE_MODEL, params.plan.models))
    # one thread in each process
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        planned = pool.map(plan, cases, [params] * len(cases), [len(labels)] * len(cases))
        rows = list(tqdm(planned, total=len(cases), desc="memory plan", unit="case", disable=None))
    write_csv(METRICS / "memory_plan.csv", COLUMNS, rows)


def cases_for(configs: Mapping[str, PreTrainedConfig]) -> list[Case]:
    """Return all combinations, without gradient checkpointing where a family does not support it."""
    cases: list[Case] = []
    for name, config in configs.items():
        checkpointing = (False, True) if family_of(config.model_type).gradient_checkpointing else (False,)
        cases += [Case(name, *variant) for variant in product(METHODS, (False, True), checkpointing)]
    return cases


def plan(case: Case, params: Params, num_labels: int) -> tuple:
    """Return a row: the largest micro-batch that fits, or 0, and the memory of a step with it, or with one text if none fits."""
    config = configurations(BASE_MODEL, params.plan.models)[case.model]
    model = unloaded_model(config, num_labels, method_of(case.method), params)
    if case.checkpointing:
        recompute_activations(model)
    inputs = RandomInputs(config.vocab_size, num_labels, params.seed, torch.device("cpu"))
    batch_size = params.train.batch_size
    # the longest text that the model accepts, if that is shorter
    length = min(params.data.max_length, family_of(config.model_type).longest_input(config))

    def predict(size: int) -> PredictedMemory:
        accumulate = size < batch_size
        return predict_training_memory(model, inputs, (size,), length, accumulate, case.awp)[size]

    size, memory = largest_that_fits(predict, divisors(batch_size), params.train.memory_budget_gib)
    parts = (memory.peak, memory.weights, memory.gradients, memory.optimizer_state, memory.activations, memory.awp_buffer)
    cut = (size, batch_size // size) if size else (0, 0)
    return (*case, length, *cut, params.train.memory_budget_gib, RESERVE_MIB, *(round(part / MIB, 1) for part in parts))
