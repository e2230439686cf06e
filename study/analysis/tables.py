"""Tidy tables behind the figures of the study, written beside them as CSV."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from study.analysis.rules import CONDITIONS, ORDER, TESTED

OFF = 0.0  # the epsilon of a cell without AWP in the tables
DOSE = ("method", "target", "epsilon", "seeds", "f1", "f1_min", "f1_max", "cosine", "cosine_min", "cosine_max")
ROWS = ("method", "rows", "epochs", "seed", "test_f1")
DIFFERENCES = ("setting", "method", "f1", "f1_low", "f1_high", "minus_full", "minus_full_low", "minus_full_high", "verdict")


def dose_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return validation F1 and cosine of the two gradients by method, target and epsilon: mean, lowest and highest over seeds.

    The cosine is that between the gradient at w and the one at w + v: 1 where both have the same direction.
    Variants (a box, embeddings moved otherwise) are left out; epsilon is `OFF` without AWP, which belongs
    to both targets. There are few seeds, and whether one of them leaves chance is no normal variable: Student's interval would
    leave the range of both numbers, the lowest and the highest seed do not.
    """
    found = []
    if len(rows):
        off = rows["awp_target"].isna()
        plain = rows[off | (rows["awp_box"].isna() & (rows["awp_embeddings"] == "tensor"))]
        epsilon = plain["awp_epsilon"].astype(float).fillna(OFF)
        plain = plain.assign(target=plain["awp_target"].fillna("trainable"), epsilon=epsilon)
        for (method, target, epsilon), group in plain.groupby(["method", "target", "epsilon"]):
            of_f1, of_cosine = (_range(group[key]) for key in ("validation_f1", "gradient_cosine"))
            found.append((method, target, epsilon, len(group), *of_f1, *of_cosine))
    return _ordered(pd.DataFrame(found, columns=list(DOSE)), ["target", "epsilon"], [False, True])


def _range(values: pd.Series) -> tuple[float, float, float]:
    known = values.dropna().to_numpy(dtype=float)
    return (float(known.mean()), float(known.min()), float(known.max())) if len(known) else (np.nan, np.nan, np.nan)


def variants_table(rows: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Return validation F1 of the other readings of AWP, rows, exclude and box: mean, lowest and highest over seeds."""
    of_box = rows["awp_box"].notna()
    kinds = np.where(of_box, "box", rows["awp_embeddings"].fillna("tensor"))
    return {kind: _range(rows.loc[kinds == kind, "validation_f1"]) for kind in ("rows", "exclude", "box")}


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
