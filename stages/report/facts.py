"""Everything that the report is computed from: parameters and the metric files of all stages."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import CONFUSION, LEARNING_CURVES, METRICS, PLOTS, PROVENANCE, REPORTS, TRAINING_METRICS
from stages.project.schema import METHODS, Params

OWN = "this encoder"  # the row of metrics/memory_plan.csv for the encoder in models/base
RECORDED_STAGES = (*(f"train_{method}" for method in METHODS), "evaluate")


@dataclass(frozen=True)
class Facts:
    """Contents of the files; the dictionaries are keyed by method.

    Attributes:
        data: metrics/data.json.
        quality: metrics/{method}.json.
        training: metrics/training/{method}.json.
        curves: plots/learning_curves/{method}.csv.
        confusion: plots/confusion/{method}.csv, one row (actual, predicted) per test text.
        reports: reports/{method}.txt.
        memory: metrics/memory.json.
        plan: metrics/memory_plan.csv, what fits into the memory budget.
        benchmark: metrics/benchmark.json, measured with a clock.
        latency: plots/latency.csv, measured with a clock.
        learning_rates: metrics/learning_rates.csv.
        provenance: metrics/provenance/{stage}.json of the three trainings and of evaluate.
        ablation: metrics/ablation.csv, by method: training without AWP and mixout.
    """

    params: Params
    data: dict
    quality: dict[str, dict]
    training: dict[str, dict]
    curves: dict[str, pd.DataFrame]
    confusion: dict[str, pd.DataFrame]
    reports: dict[str, str]
    memory: dict
    plan: pd.DataFrame
    benchmark: dict
    latency: pd.DataFrame
    learning_rates: pd.DataFrame
    ablation: pd.DataFrame
    provenance: dict[str, dict]


def load_facts(params: Params) -> Facts:
    """Read all files.

    Raises:
        UserError: a file is missing.
    """

    def by_method(read: Callable, folder: Path, ending: str) -> dict:
        return {method: read(folder / f"{method}.{ending}") for method in METHODS}

    try:
        return Facts(
            params=params,
            data=read_json(METRICS / "data.json"),
            quality=by_method(read_json, METRICS, "json"),
            training=by_method(read_json, TRAINING_METRICS, "json"),
            curves=by_method(pd.read_csv, LEARNING_CURVES, "csv"),
            confusion=by_method(read_names, CONFUSION, "csv"),
            reports=by_method(lambda path: path.read_text(encoding="utf-8"), REPORTS, "txt"),
            memory=read_json(METRICS / "memory.json"),
            plan=pd.read_csv(METRICS / "memory_plan.csv"),
            benchmark=read_json(METRICS / "benchmark.json"),
            latency=pd.read_csv(PLOTS / "latency.csv"),
            learning_rates=pd.read_csv(METRICS / "learning_rates.csv"),
            ablation=pd.read_csv(METRICS / "ablation.csv", index_col="method"),
            provenance={stage: read_json(PROVENANCE / f"{stage}.json") for stage in RECORDED_STAGES},
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `dvc repro` writes what the report quotes") from None


def read_names(path: Path) -> pd.DataFrame:
    """Read a CSV of class names without converting them: a class may be called 1 or NA."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)
