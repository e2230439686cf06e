"""What is no test: learning rates, places of LoRA, splits, the cross-check, the dose of AWP, and cosines of its gradients."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t

from study.analysis.bootstrap import seeds_only
from study.analysis.rules import CONDITIONS, ORDER, REFERENCE, TARGETS, TESTED, Rules, known, numbers, rounded


def rates(rows: pd.DataFrame) -> dict[str, Any]:
    """Return, per method and condition, the best learning rate, whether it is inside the grid, its lead, and its ratio to full's.

    The best has the highest mean validation F1 over the seeds, of equal ones the lowest mean validation loss; `_lead` is by how
    much that F1 is above the next. "LoRA Without Regret" (Schulman et al. 2025) finds LoRA's best rate about ten times that of
    full fine-tuning.
    """
    values: dict[str, Any] = {"rates_seeds": rows["seed"].nunique()}
    for condition in _present(CONDITIONS, rows["condition"]):
        best = {}
        main = rows[(rows["condition"] == condition) & (rows["method"] != "head")]
        values |= {f"rates_{condition}_rows": int(main["rows"].iloc[0])}
        for method in _present(ORDER, rows["method"]):
            tried = rows[(rows["condition"] == condition) & (rows["method"] == method)]
            means = tried.groupby("learning_rate")[["validation_f1", "validation_loss"]].mean().reset_index()
            means = means.sort_values(["validation_f1", "validation_loss"], ascending=[False, True])
            best[method] = float(means["learning_rate"].iloc[0])
            inside = float(means["learning_rate"].min()) < best[method] < float(means["learning_rate"].max())
            first, second = means["validation_f1"].iloc[:2]
            key = f"rate_{condition}_{method}"
            values |= {key: best[method], f"{key}_inside_grid": inside, f"{key}_lead": rounded(first - second)}
        for method in TESTED:
            if method in best and REFERENCE in best:
                values[f"rate_{condition}_{method}_to_full"] = float(f"{best[method] / best[REFERENCE]:.4g}")
    return values


def targets(rows: pd.DataFrame, rules: Rules) -> dict[str, Any]:
    """Return, for each place of LoRA, trained parameters and mean validation F1 at its best rate, and differences from attention.

    Equal parameters by rank: what differs is where LoRA sits. Differences are paired by seed, on the same validation texts, by
    which each rate was chosen too; the intervals are over seeds alone.
    """
    values: dict[str, Any] = {"targets_seeds": rows["seed"].nunique(), "targets_rows": int(rows["rows"].iloc[0])}
    at_best: dict[str, pd.Series] = {}
    for target in _present(TARGETS, rows["peft_target"]):
        tried = rows[rows["peft_target"] == target]
        means = tried.groupby("learning_rate")["validation_f1"].mean()
        rate, ends = means.idxmax(), (means.index.min(), means.index.max())
        chosen = tried[tried["learning_rate"] == rate]
        at_best[target] = chosen.set_index("seed")["validation_f1"].sort_index()
        values |= {f"target_{target}_trainable": int(chosen["trainable"].iloc[0]), f"target_{target}_rate": float(rate)}
        values[f"target_{target}_rate_inside_grid"] = rate not in ends
        values |= numbers(f"target_{target}_validation_f1", seeds_only(at_best[target].to_numpy(), rules.confidence))
        if target != "attention" and "attention" in at_best:
            paired = (at_best[target] - at_best["attention"]).to_numpy()
            values |= numbers(f"target_{target}_minus_attention", seeds_only(paired, rules.confidence))
    return values


def splits(rows: pd.DataFrame, tested: int, rules: Rules) -> dict[str, Any]:
    """Return the difference of test F1 from full fine-tuning, paired by split.

    Each split draws its n training and m test texts anew from the same rows, so that two splits share some. Student's interval
    would be too narrow; its variance s^2 / S becomes s^2 (1 / S + m / n) (Nadeau and Bengio, Machine Learning 52, 2003).

    Args:
        tested: test texts of a split, m.
    """
    number, trained = rows["split_seed"].nunique(), int(rows["rows"].iloc[0])
    shared = tested / trained
    values: dict[str, Any] = {"splits_number": number, "splits_rows": trained, "splits_test_rows": tested}
    for condition in _present(CONDITIONS, rows["condition"]):
        table = rows[rows["condition"] == condition].pivot(index="split_seed", columns="method", values="test_f1")
        for method in TESTED:
            if method in table and REFERENCE in table:
                paired = (table[method] - table[REFERENCE]).to_numpy(dtype=float)
                values |= numbers(f"splits_{condition}_{method}_minus_full", seeds_only(paired, rules.confidence, shared))
    return values


def crosscheck(study: np.ndarray, plain: np.ndarray, rules: Rules) -> dict[str, Any]:
    """Say whether the study's full fine-tuning without regularizers agrees with a plain Trainer recipe, by test F1 per seed.

    They agree where the difference of their means is within `crosscheck_reach`, the half-width of Student's interval around 0:
    t s sqrt(1/n + 1/m), with s the standard deviation between seeds, pooled over both, and n + m - 2 degrees of freedom. It works
    with a single plain run.
    """
    n, m = len(study), len(plain)
    pooled = np.sqrt((study.var() * n + plain.var() * m) / (n + m - 2))
    reach = float(t.isf((1 - rules.confidence) / 2, n + m - 2) * pooled * np.sqrt(1 / n + 1 / m))
    difference = float(study.mean() - plain.mean())
    return {
        "crosscheck_study_f1": rounded(study.mean()),
        "crosscheck_study_seeds": n,
        "crosscheck_plain_f1": rounded(plain.mean()),
        "crosscheck_plain_seeds": m,
        "crosscheck_difference": rounded(difference),
        "crosscheck_sd": rounded(pooled),
        "crosscheck_reach": rounded(reach),
        "crosscheck_agrees": abs(difference) <= reach,
    }


def dose(table: pd.DataFrame) -> dict[str, Any]:
    """Return validation F1 and cosine at every dose, from `study.analysis.tables.dose_table`; epsilon stands in the key."""
    values: dict[str, Any] = {}
    for row in table.itertuples():
        name = "off" if row.epsilon == 0 else f"{row.target}_{row.epsilon:g}"
        key = f"dose_{row.method}_{name}"
        values |= known(f"{key}_validation_f1", row.f1, row.f1_min, row.f1_max)
        values |= known(f"{key}_cosine", row.cosine, row.cosine_min, row.cosine_max)
    return values


def dose_size(rows: pd.DataFrame) -> dict[str, Any]:
    """Return how large the trainings of the doses are, and what stands behind the other readings of epsilon."""
    boxed, by_rows = rows[rows["awp_box"].notna()], rows[rows["awp_embeddings"] == "rows"]
    values: dict[str, Any] = {f"dose_{key}": int(rows[key].iloc[0]) for key in ("rows", "epochs")}
    values["dose_seeds"] = rows["seed"].nunique()
    if len(boxed):
        values |= {"dose_box": float(boxed["awp_box"].iloc[0])}
        values |= {"dose_box_moved": rounded(boxed["awp_relative_step_mean"].mean())}
    return values | ({"dose_variants_epsilon": float(by_rows["awp_epsilon"].iloc[0])} if len(by_rows) else {})


def cosines(rows: pd.DataFrame) -> dict[str, Any]:
    """Return mean, lowest and highest over seeds of the cosine of the gradients at w and w + v in `rows`, a setting with AWP."""
    values: dict[str, Any] = {}
    for (condition, method), group in rows[rows["gradient_cosine"].notna()].groupby(["condition", "method"]):
        found = group["gradient_cosine"].to_numpy(float)
        values |= known(f"{condition}_{method}_cosine", found.mean(), found.min(), found.max())
    return values


def _present(order: tuple[str, ...], found: pd.Series) -> list[str]:
    return [name for name in order if name in set(found)]
