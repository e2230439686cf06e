"""What fits into the memory budget, for published encoders.

Worker processes import `plan_one` from here: multiprocessing does not find functions of a `__main__`.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

import torch
from tqdm import tqdm

from stages.plan_published.encoders import configuration
from stages.planning.table import Row, plan, write_plan
from stages.project.parameters import load_params
from stages.project.paths import METRICS
from stages.project.schema import METHODS, Params, PeftParams

# fixed, so that an experiment with other values does not predict all this anew; the table says them
CLASSES = 2
PEFT = PeftParams(
    rank=8,
    alpha=16,
    dropout=0,
    target="attention",
    use_rslora=False,
    use_dora=False,
    init="default",
    adapter="pfeiffer",
    bottleneck=64,
    scaling=4,
)


def main() -> None:
    """Write metrics/published_memory_plan.csv."""
    params = load_params()
    cases = list(product(params.plan.models, METHODS))
    rows: list[Row] = []
    if cases:
        workers = min(len(cases), os.cpu_count() or 1)
        # one thread in each process
        with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            planned = pool.map(plan_one, *zip(*cases, strict=True), [params] * len(cases))
            for some in tqdm(planned, total=len(cases), desc="published encoders", unit="case", disable=None):
                rows += some
    write_plan(METRICS / "published_memory_plan.csv", rows)


def plan_one(name: str, method: str, params: Params) -> list[Row]:
    """Return the rows of the published encoder `name` and one method."""
    return plan(name, configuration(name), CLASSES, method, params.model_copy(update={"peft": PEFT}))
