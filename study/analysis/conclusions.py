"""Flat numbers and words for metrics/study/summary.json: one function a series, each for a series that is complete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from stages.project.errors import UserError
from study.analysis.bootstrap import Estimate, Resamples, mean_difference, mean_f1, resample, seeds_only
from study.analysis.cells import Cells, fingerprint
from study.analysis.verdicts import difference_p, equivalence_p, holm, verdict

REFERENCE = "full"  # the method that the others are compared with
TESTED = ("lora", "adapter")  # the methods that are tested against it; the head alone is what all three must beat
ORDER = ("full", "lora", "adapter", "head")
CONDITIONS = ("none", "mixout", "awp", "both")
TARGETS = ("attention", "feed_forward", "all")


@dataclass(frozen=True)
class Rules:
    """How conclusions are drawn, fixed before the study: margin of equivalence, confidence, resamples and their seed."""

    margin: float
    confidence: float
    samples: int
    seed: int = 0


@dataclass(frozen=True)
class Compared:
    """The methods on one training setting, resampled together, so that all pairs share seeds and texts."""

    methods: list[str]
    resamples: Resamples
    seeds: int


def compare(cells: Cells, rows: pd.DataFrame, labels: np.ndarray, num_classes: int, rules: Rules) -> Compared:
    """Resample the tested cells `rows` (methods x seeds of one setting).

    Raises:
        UserError: the methods do not have the same seeds, or a cell has no predictions or those of another test set.
    """
    methods = [method for method in ORDER if method in set(rows["method"])]
    seeds = sorted(set(rows["seed"]))
    names = {(row.method, row.seed): row.cell for row in rows.itertuples()}
    if lacking := [(m, s) for m in methods for s in seeds if (m, s) not in names]:
        raise UserError(f"no cell like {rows['cell'].iloc[0]} for {lacking} (method, seed); all methods need the same seeds")
    truth = fingerprint(labels, num_classes)
    for row in rows.itertuples():
        found = cells.predictions.get(row.cell)
        if found is None or len(found) != len(labels) or found.max() >= num_classes or row.test_sha256 != truth:
            count = "no" if found is None else f"{len(found)}"
            raise UserError(
                f"{row.cell}: {count} predictions, of another test set than data/processed has ({len(labels)} texts); "
                f"run the cell again: make study CELL={row.cell}"
            )
    stacked = np.stack([[cells.predictions[names[method, seed]] for seed in seeds] for method in methods])
    return Compared(methods, resample(labels, stacked, num_classes, rules.samples, rules.seed), len(seeds))


def quality(prefix: str, compared: Compared, rules: Rules) -> tuple[dict[str, Any], dict[str, Estimate]]:
    """Return F1 of every method and its difference from full fine-tuning, as flat numbers; the differences to test too."""
    values: dict[str, Any] = {}
    tested = {}
    for place, method in enumerate(compared.methods):
        key = f"{prefix}_{method}"
        values |= numbers(f"{key}_f1", mean_f1(compared.resamples, place, rules.confidence)) | {f"{key}_seeds": compared.seeds}
        if method != REFERENCE and REFERENCE in compared.methods:
            difference = mean_difference(compared.resamples, place, compared.methods.index(REFERENCE), rules.confidence)
            values |= numbers(f"{key}_minus_full", difference)
            if method in TESTED:
                tested[key] = difference
    return values, tested


def numbers(key: str, estimate: Estimate) -> dict[str, float]:
    """Return `key` (the mean), `key`_sd (between seeds), and the ends of the interval `key`_low and `key`_high."""
    parts = {"": estimate.value, "_sd": estimate.between_seeds, "_low": estimate.low, "_high": estimate.high}
    return {f"{key}{end}": rounded(value) for end, value in parts.items()}


def rounded(value: float) -> float:
    """Round to six decimals, and -0.0 to 0.0."""
    return round(float(value), 6) + 0.0


def verdicts(tested: Mapping[str, Estimate], rules: Rules, planned: int) -> dict[str, Any]:
    """Return both corrected p values and the word of every tested difference, how many tests were made, and are planned."""
    raw = [difference_p(e) for e in tested.values()] + [equivalence_p(e, rules.margin) for e in tested.values()]
    corrected = holm(raw, planned)
    different, equivalent = corrected[: len(tested)], corrected[len(tested) :]
    values: dict[str, Any] = {"tests_made": len(raw), "tests_planned": planned}
    for (key, e), p_difference, p_equivalence in zip(tested.items(), different, equivalent, strict=True):
        values |= {
            f"{key}_p_difference": float(f"{p_difference:.4g}"),
            f"{key}_p_equivalence": float(f"{p_equivalence:.4g}"),
            f"{key}_verdict": verdict(e.value, p_difference, p_equivalence, 1 - rules.confidence),
        }
    return values


def rates(rows: pd.DataFrame) -> dict[str, Any]:
    """Return, per method and condition, the best learning rate, whether it is inside the grid, and its ratio to full's.

    The best has the highest mean validation F1 over the seeds, of equal ones the lowest mean validation loss. "LoRA Without
    Regret" (Schulman et al. 2025) finds LoRA's best rate about ten times that of full fine-tuning.
    """
    values: dict[str, Any] = {}
    for condition in _present(CONDITIONS, rows["condition"]):
        best = {}
        for method in _present(ORDER, rows["method"]):
            tried = rows[(rows["condition"] == condition) & (rows["method"] == method)]
            means = tried.groupby("learning_rate")[["validation_f1", "validation_loss"]].mean().reset_index()
            means = means.sort_values(["validation_f1", "validation_loss"], ascending=[False, True])
            best[method] = float(means["learning_rate"].iloc[0])
            inside = float(means["learning_rate"].min()) < best[method] < float(means["learning_rate"].max())
            values |= {f"rate_{condition}_{method}": best[method], f"rate_{condition}_{method}_inside_grid": inside}
        for method in TESTED:
            if method in best and REFERENCE in best:
                values[f"rate_{condition}_{method}_to_full"] = float(f"{best[method] / best[REFERENCE]:.4g}")
    return values


def targets(rows: pd.DataFrame, rules: Rules) -> dict[str, Any]:
    """Return, for each place of LoRA, trained parameters and mean validation F1 at its best rate, and differences from attention.

    Equal parameters by rank: what differs is where LoRA sits. Differences are paired by seed, on the same validation texts, and
    the interval is over seeds alone.
    """
    values: dict[str, Any] = {}
    at_best: dict[str, pd.Series] = {}
    for target in _present(TARGETS, rows["peft_target"]):
        tried = rows[rows["peft_target"] == target]
        rate = tried.groupby("learning_rate")["validation_f1"].mean().idxmax()
        chosen = tried[tried["learning_rate"] == rate]
        at_best[target] = chosen.set_index("seed")["validation_f1"].sort_index()
        values |= {f"target_{target}_trainable": int(chosen["trainable"].iloc[0]), f"target_{target}_rate": float(rate)}
        values |= numbers(f"target_{target}_validation_f1", seeds_only(at_best[target].to_numpy(), rules.confidence))
        if target != "attention" and "attention" in at_best:
            paired = (at_best[target] - at_best["attention"]).to_numpy()
            values |= numbers(f"target_{target}_minus_attention", seeds_only(paired, rules.confidence))
    return values


def splits(rows: pd.DataFrame, rules: Rules) -> dict[str, Any]:
    """Return the difference of test F1 from full fine-tuning, paired by split: each split has train and test texts of its own."""
    values: dict[str, Any] = {}
    for condition in _present(CONDITIONS, rows["condition"]):
        table = rows[rows["condition"] == condition].pivot(index="split_seed", columns="method", values="test_f1")
        for method in TESTED:
            if method in table and REFERENCE in table:
                paired = (table[method] - table[REFERENCE]).to_numpy(dtype=float)
                values |= numbers(f"splits_{condition}_{method}_minus_full", seeds_only(paired, rules.confidence))
    return values


def crosscheck(study: np.ndarray, plain: np.ndarray, rules: Rules) -> dict[str, Any]:
    """Say whether the study's full fine-tuning without regularizers agrees with a plain Trainer recipe, by test F1 per seed.

    They agree where the difference of their means lies within Student's interval around 0 whose spread is that between seeds,
    pooled over both: t s sqrt(1/n + 1/m), with n + m - 2 degrees of freedom. It works with a single plain run.
    """
    n, m = len(study), len(plain)
    pooled = np.sqrt((study.var() * n + plain.var() * m) / (n + m - 2))
    reach = float(t.isf((1 - rules.confidence) / 2, n + m - 2) * pooled * np.sqrt(1 / n + 1 / m))
    difference = float(study.mean() - plain.mean())
    return {
        "crosscheck_study_f1": rounded(study.mean()),
        "crosscheck_plain_f1": rounded(plain.mean()),
        "crosscheck_plain_seeds": m,
        "crosscheck_difference": rounded(difference),
        "crosscheck_spread": rounded(reach),
        "crosscheck_agrees": abs(difference) <= reach,
    }


def _present(order: tuple[str, ...], found: pd.Series) -> list[str]:
    return [name for name in order if name in set(found)]


def dose(table: pd.DataFrame) -> dict[str, Any]:
    """Return validation F1 and cosine at every dose, from `study.analysis.tables.dose_table`; epsilon stands in the key."""
    values: dict[str, Any] = {}
    for row in table.itertuples():
        name = "off" if row.epsilon == 0 else f"{row.target}_{row.epsilon:g}"
        key = f"dose_{row.method}_{name}"
        values |= known(f"{key}_validation_f1", row.f1, row.f1_low, row.f1_high)
        values |= known(f"{key}_cosine", row.cosine, row.cosine_low, row.cosine_high)
    return values


def known(key: str, value: float, low: float, high: float) -> dict[str, float]:
    """Return `key`, `key`_low and `key`_high for those of the three that are numbers."""
    parts = {"": value, "_low": low, "_high": high}
    return {f"{key}{end}": rounded(number) for end, number in parts.items() if np.isfinite(number)}
