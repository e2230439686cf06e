"""python -m experiments.tune_learning_rate

Trains every method with each of four learning rates on the same small budget and writes the validation scores to
metrics/learning_rates.csv; the test set is not used. The values in params.yaml are the best rows of that table. Needs the outs
of `prepare` (dvc repro prepare).

The candidates run in parallel, one per core with one thread each: the number of cores does not change the result.
"""

import numpy as np

from experiments.side_by_side import fit_quietly, rows_of
from stages.classifier.splits import load_split
from stages.project.files import write_csv
from stages.project.parameters import load_params
from stages.project.paths import METRICS
from stages.project.running import run_stage
from stages.project.schema import Params
from stages.report.setting import TUNED, setting

CANDIDATES = {
    "full": (2e-5, 5e-5, 1e-4, 2e-4),
    "lora": (5e-4, 1e-3, 2e-3, 4e-3),
    "adapter": (1e-3, 2e-3, 4e-3, 8e-3),
}
EPOCHS = 2
TRAIN_SHARE = 0.5
COLUMNS = ("method", "learning_rate", "train_rows", "epochs", "validation_f1", "validation_loss", "setting")


def main() -> None:
    params = load_params()
    jobs = [(params, method, learning_rate) for method, rates in CANDIDATES.items() for learning_rate in rates]
    write_csv(METRICS / "learning_rates.csv", COLUMNS, list(rows_of(try_candidate, jobs, COLUMNS)))


def try_candidate(params: Params, method: str, learning_rate: float) -> tuple:
    """Train `method` at `learning_rate` on the small budget and return its row of the table."""
    rows = load_split("train")
    chosen = np.random.default_rng(params.seed).permutation(len(rows))[: int(len(rows) * TRAIN_SHARE)]
    rows = rows.select(np.sort(chosen), keep_in_memory=True)
    _, best = fit_quietly(with_budget(params, method, learning_rate), method, rows)
    scores = round(best.f1, 6), round(best.validation_loss, 6)
    return method, learning_rate, len(rows), EPOCHS, *scores, setting(params, TUNED)


def with_budget(params: Params, method: str, learning_rate: float) -> Params:
    """Return the parameters with the small budget and this learning rate; the rest is as in the pipeline's training."""
    content = params.model_dump()
    content["train"]["epochs"] = EPOCHS
    content["train"]["learning_rate"][method] = learning_rate
    return Params.model_validate(content)


if __name__ == "__main__":
    run_stage("tune_learning_rate", main)
