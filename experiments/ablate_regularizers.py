"""python -m experiments.ablate_regularizers [method ...]

Trains each named method (all three if none is named) as the pipeline does, but without AWP and mixout, and writes the validation
scores to metrics/ablation.csv; the report compares them with those of the pipeline's training, which has both. The test set is
not used. Needs the outs of `prepare`. Rows of methods that are not named are kept. The column `setting` records the other
parameters (stages.report.setting).

The trainings run in parallel, one per core with one thread each.
"""

import sys

import pandas as pd

from experiments.side_by_side import fit_quietly, rows_of
from stages.classifier.splits import load_split
from stages.project.errors import UserError
from stages.project.files import write_text
from stages.project.parameters import load_params
from stages.project.paths import METRICS
from stages.project.running import run_stage
from stages.project.schema import METHODS, Params
from stages.report.setting import REGULARIZERS, setting

TABLE = METRICS / "ablation.csv"
COLUMNS = ["method", "learning_rate", "train_rows", "epochs_trained", "best_epoch", "validation_f1", "validation_loss", "setting"]


def main() -> None:
    params = load_params()
    methods = sys.argv[1:] or list(METHODS)
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise UserError(f"unknown method(s) {', '.join(unknown)}; use some of {', '.join(METHODS)}")
    plain = without_regularizers(params)
    rows = list(rows_of(train_plain, [(plain, method) for method in methods], COLUMNS))
    write_table(rows, methods)


def without_regularizers(params: Params) -> Params:
    content = params.model_dump()
    content["awp"]["enabled"] = content["mixout"]["enabled"] = False
    return Params.model_validate(content)


def train_plain(params: Params, method: str) -> tuple:
    """Train `method` without the regularizers and return its row."""
    rows = load_split("train")
    run, best = fit_quietly(params, method, rows)
    scores = round(best.f1, 6), round(best.validation_loss, 6)
    counts = len(rows), len(run.history.rows), best.epoch
    return method, run.trainer.args.learning_rate, *counts, *scores, setting(params, REGULARIZERS)


def write_table(rows: list[tuple], methods: list[str]) -> None:
    """Write the new rows and those of the other methods in the existing table, in the order of the methods."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    if TABLE.is_file():
        kept = pd.read_csv(TABLE)
        table = pd.concat([kept[~kept["method"].isin(methods)], table])
    order = table["method"].map(list(METHODS).index)
    table = table.iloc[order.argsort(kind="stable")]
    write_text(TABLE, table.to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    run_stage("ablate_regularizers", main)
