"""Everything that the report is computed from: parameters and the metric files of all stages."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.presentation.labels import short_labels
from stages.presentation.learning import shortcomings
from stages.presentation.markdown import plain
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import (
    CONFUSION,
    DETAILS,
    LEARNING_CURVES,
    METRICS,
    PLOTS,
    PROVENANCE,
    REPORTS,
    STUDY_SUMMARY,
    TIMING_METRICS,
    TRAINING_METRICS,
)
from stages.project.schema import METHODS, Params

OWN = "this encoder"  # the row of metrics/memory_plan.csv for the encoder in models/base
ARMS = ("full", "lora", "lora_merged", "adapter")
LONGEST_LABEL = 24  # characters of a class name
SPLITS = ("train", "validation", "test")
PEFT = ("lora", "adapter")  # what is compared with full fine-tuning
GPU_METRICS = METRICS / "gpu"  # of `python -m experiments.on_gpu`; a project may have none
RECORDED_STAGES = (*(f"train_{method}" for method in METHODS), "evaluate")


@dataclass(frozen=True)
class Facts:
    """Contents of the files; the dictionaries are keyed by method, or by arm of the benchmark.

    Attributes:
        data: metrics/data.json.
        quality: metrics/details/{method}.json.
        baseline: metrics/baseline.json.
        training: metrics/training/{method}.json.
        curves: plots/learning_curves/{method}.csv.
        confusion: plots/confusion/{method}.csv, one row (actual, predicted) per test text.
        reports: reports/{method}.txt.
        memory: metrics/memory.json.
        plan: metrics/memory_plan.csv, then metrics/published_memory_plan.csv: what fits into the memory budget.
        timing: metrics/timing/{arm}.json, measured with a clock.
        conditions: metrics/provenance/benchmark.json, under which it was measured.
        latency: plots/latency.csv, measured with a clock.
        learning_rates: metrics/learning_rates.csv.
        provenance: metrics/provenance/{stage}.json of the three trainings and of evaluate.
        ablation: metrics/ablation.csv, by method: training without AWP and mixout.
        study: metrics/study/summary.json, many trainings with several seeds; None where it has not been made. It is no dependency
            of the stage: the report is complete without it, and a run must not wait for it.
        gpu: metrics/gpu, measured on a GPU that this run need not have: machine, and the tables memory, steps, latency and
            training; None where nothing was. No dependency either.
    """

    params: Params
    data: dict
    quality: dict[str, dict]
    baseline: dict[str, dict]
    training: dict[str, dict]
    curves: dict[str, pd.DataFrame]
    confusion: dict[str, pd.DataFrame]
    reports: dict[str, str]
    memory: dict
    plan: pd.DataFrame
    timing: dict[str, dict]
    conditions: dict
    latency: pd.DataFrame
    learning_rates: pd.DataFrame
    ablation: pd.DataFrame
    provenance: dict[str, dict]
    study: dict | None = None
    gpu: dict | None = None

    @property
    def classes(self) -> list[str]:
        """The names of all classes, in the order of their indices."""
        return list(self.quality["full"]["f1_by_class"])

    @property
    def class_labels(self) -> dict[str, str]:
        """For each class name, its label in Markdown: one short line without markup, different from all others."""
        names = self.classes
        return {name: plain(label) for name, label in zip(names, short_labels(names, LONGEST_LABEL), strict=True)}

    @property
    def failed(self) -> dict[str, list[str]]:
        """Why a method did not learn, for those that did not: nothing is concluded about them."""
        reasons = {method: shortcomings(self.quality[method]) for method in METHODS}
        return {method: why for method, why in reasons.items() if why}

    @property
    def compared(self) -> list[str]:
        """The methods whose quality can be compared with that of full fine-tuning."""
        return [] if "full" in self.failed else [method for method in PEFT if method not in self.failed]

    @property
    def transfer(self) -> list[str]:
        """The names of the test sets of kinds of text that no method was trained on."""
        return [key[len("transfer_") : -len("_f1")] for key in self.quality["full"] if key.startswith("transfer_")]

    def kept(self, method: str) -> pd.Series:
        """The row of the learning curve whose weights were kept."""
        return self.curves[method].set_index("epoch").loc[self.training[method]["best_epoch"]]

    @property
    def device(self) -> str:
        """What trained and was timed: the processor's name on a CPU, otherwise the device's."""
        machine = self.conditions["machine"]
        return machine["cpu"] if machine["device"] == "cpu" else machine["device"]


def load_facts(params: Params) -> Facts:
    """Read all files.

    Raises:
        UserError: a file is missing.
    """

    def read(folder: Path, ending: str, reader: Callable = read_json, names: tuple[str, ...] = METHODS) -> dict:
        return {name: reader(folder / f"{name}.{ending}") for name in names}

    try:
        plans = [pd.read_csv(METRICS / name) for name in ("memory_plan.csv", "published_memory_plan.csv")]
        return Facts(
            params=params,
            data=read_json(METRICS / "data.json"),
            quality=read(DETAILS, "json"),
            baseline=read_json(METRICS / "baseline.json"),
            training=read(TRAINING_METRICS, "json"),
            curves=read(LEARNING_CURVES, "csv", pd.read_csv),
            confusion=read(CONFUSION, "csv", read_names),
            reports=read(REPORTS, "txt", lambda path: path.read_text(encoding="utf-8")),
            memory=read_json(METRICS / "memory.json"),
            plan=pd.concat([plan for plan in plans if len(plan)], ignore_index=True),
            timing=read(TIMING_METRICS, "json", names=ARMS),
            conditions=read_json(PROVENANCE / "benchmark.json"),
            latency=pd.read_csv(PLOTS / "latency.csv"),
            learning_rates=pd.read_csv(METRICS / "learning_rates.csv"),
            ablation=pd.read_csv(METRICS / "ablation.csv", index_col="method"),
            provenance=read(PROVENANCE, "json", names=RECORDED_STAGES),
            study=read_json(STUDY_SUMMARY) if STUDY_SUMMARY.is_file() else None,
            gpu=read_gpu(),
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `dvc repro` writes what the report quotes") from None


def read_names(path: Path) -> pd.DataFrame:
    """Read a CSV of class names without converting them: a class may be called 1 or NA."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def read_gpu() -> dict | None:
    """Read what was measured on a GPU: machine.json, and a table for each part; None unless all are there."""
    paths = {part: GPU_METRICS / f"{part}.csv" for part in ("memory", "steps", "latency", "training")}
    machine = GPU_METRICS / "machine.json"
    if not all(path.is_file() for path in (machine, *paths.values())):
        return None
    return {"machine": read_json(machine), **{part: pd.read_csv(path) for part, path in paths.items()}}
