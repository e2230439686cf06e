"""Tidy tables behind the figures of the study, written beside them as CSV."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.bootstrap import seeds_only
from study.analysis.rules import CONDITIONS, ORDER, TESTED

OFF = 0.0  # the epsilon of a cell without AWP in the tables
DOSE = ("method", "target", "epsilon", "seeds", "f1", "f1_low", "f1_high", "cosine", "cosine_low", "cosine_high")
ROWS = ("method", "rows", "epochs", "seed", "test_f1")
DIFFERENCES = ("setting", "method", "f1", "f1_low", "f1_high", "minus_full", "minus_full_low", "minus_full_high", "verdict")


def dose_table(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return validation F1 and cosine of the two gradients by method, target and epsilon, with intervals over seeds.

    The cosine is that between the gradient at w and the one at w + v: 1 where the perturbation changes nothing of what an
    optimizer step does. Variants (a box, embeddings moved otherwise) are left out; epsilon is `OFF` without AWP, which belongs
    to both targets. A setting with a single finished seed has no interval.
    """
    found = []
    if len(rows):
        off = rows["awp_target"].isna()
        plain = rows[off | (rows["awp_box"].isna() & (rows["awp_embeddings"] == "tensor"))]
        epsilon = plain["awp_epsilon"].astype(float).fillna(OFF)
        plain = plain.assign(target=plain["awp_target"].fillna("trainable"), epsilon=epsilon)
        for (method, target, epsilon), group in plain.groupby(["method", "target", "epsilon"]):
            of_f1, of_cosine = (_interval(group[key], confidence) for key in ("validation_f1", "gradient_cosine"))
            found.append((method, target, epsilon, len(group), *of_f1, *of_cosine))
    return _ordered(pd.DataFrame(found, columns=list(DOSE)), ["target", "epsilon"], [False, True])


def _interval(values: pd.Series, confidence: float) -> tuple[float, float, float]:
    known = values.dropna().to_numpy(dtype=float)
    if len(known) < 2:
        return (float(known.mean()) if len(known) else np.nan, np.nan, np.nan)
    e = seeds_only(known, confidence)
    return e.value, e.low, e.high


def variants_table(rows: pd.DataFrame, confidence: float) -> dict[str, tuple[float, float, float]]:
    """Return validation F1 with its interval over seeds of the other readings of AWP: rows, exclude, box."""
    of_box = rows["awp_box"].notna()
    kinds = np.where(of_box, "box", rows["awp_embeddings"].fillna("tensor"))
    return {kind: _interval(rows.loc[kinds == kind, "validation_f1"], confidence) for kind in ("rows", "exclude", "box")}


def rows_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the test F1 of every cell of the learning curve: method, training rows, epochs, seed."""
    return _ordered(rows.reindex(columns=list(ROWS)), ["rows", "seed"], [True, True])


def differences_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return F1 and its difference from full fine-tuning by condition and method, from the summary."""
    found = []
    for setting in CONDITIONS:
        for method in ORDER:
            key = f"{setting}_{method}"
            if f"{key}_f1" in summary:
                f1 = (summary[f"{key}_f1{end}"] for end in ("", "_low", "_high"))
                difference = (summary.get(f"{key}_minus_full{end}") for end in ("", "_low", "_high"))
                word = summary.get(f"{key}_verdict", "") if method in TESTED else ""
                found.append((setting, method, *f1, *difference, word))
    return pd.DataFrame(found, columns=list(DIFFERENCES))


def _ordered(table: pd.DataFrame, by: list[str], ascending: list[bool]) -> pd.DataFrame:
    """Sort by method in the order of all tables, then `by`."""
    place = table["method"].map({method: place for place, method in enumerate(ORDER)})
    ordered = table.assign(_place=place).sort_values(["_place", *by], ascending=[True, *ascending], ignore_index=True)
    return ordered.drop(columns="_place")
