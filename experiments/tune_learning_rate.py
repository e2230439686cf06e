"""python -m experiments.tune_learning_rate

Trains every method with each of four learning rates on the same small budget and writes what validation says to
metrics/learning_rates.csv; the test set is not touched. The values in params.yaml are the best rows of that table. Needs
the outs of `prepare` (dvc repro prepare).

The candidates run side by side, one per core with one thread each: the result does not depend on how many there are.
"""

import contextlib
import io
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from stages.config import Params, load_params
from stages.errors import run_stage
from stages.files import write_csv
from stages.methods.registry import METHODS
from stages.paths import METRICS
from stages.tokenized import load_labels, load_split, load_tokenizer
from stages.training.run import fit

CANDIDATES = {
    "full": (2e-5, 5e-5, 1e-4, 2e-4),
    "lora": (5e-4, 1e-3, 2e-3, 4e-3),
    "adapter": (1e-3, 2e-3, 4e-3, 8e-3),
}
EPOCHS = 2
TRAIN_SHARE = 0.5
COLUMNS = ("method", "learning_rate", "train_rows", "epochs", "validation_f1", "validation_loss")


def main() -> None:
    params = load_params()
    jobs = [(params, method, learning_rate) for method, rates in CANDIDATES.items() for learning_rate in rates]
    table = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as executor:
        for row in executor.map(try_candidate, *zip(*jobs, strict=True)):
            table.append(row)
            print(dict(zip(COLUMNS, row, strict=True)), flush=True)
    write_csv(METRICS / "learning_rates.csv", COLUMNS, table)


def try_candidate(params: Params, method: str, learning_rate: float) -> tuple:
    """Train `method` at `learning_rate` on the small budget and return its row of the table."""
    torch.set_num_threads(1)
    rows = load_split("train")
    chosen = np.random.default_rng(params.seed).permutation(len(rows))[: int(len(rows) * TRAIN_SHARE)]
    rows = rows.select(np.sort(chosen), keep_in_memory=True)
    with contextlib.redirect_stdout(io.StringIO()):  # the epochs of several candidates at once would be unreadable
        run = fit(METHODS[method], with_budget(params, method, learning_rate), load_labels(), load_tokenizer(), rows)
    best = run.history.rows[run.stopping.best_epoch - 1]
    return method, learning_rate, len(rows), EPOCHS, round(best.f1, 6), round(best.validation_loss, 6)


def with_budget(params: Params, method: str, learning_rate: float) -> Params:
    """The parameters with the small budget and one learning rate; everything else as in the real training."""
    content = params.model_dump()
    content["train"]["epochs"] = EPOCHS
    content["train"]["learning_rate"][method] = learning_rate
    return Params.model_validate(content)


if __name__ == "__main__":
    run_stage(main)
