"""metrics/study/summary.json: everything that the finished cells show, as flat numbers and words."""

from typing import Any

import numpy as np
import pandas as pd

from study.analysis import comparison, series
from study.analysis.bootstrap import Estimate
from study.analysis.cells import SERIES, Cells
from study.analysis.rules import CONDITIONS, ORDER, REFERENCE, TESTED, Rules, known
from study.analysis.tables import dose_table, variants_table

# two conditions, and what stands before the method in the keys of the change from one to the other
CHANGES = (("none", "both", ""), ("none", "mixout", "none_mixout_"), ("none", "awp", "none_awp_"), ("awp", "both", "awp_both_"))


def summarize(cells: Cells, labels: np.ndarray, num_classes: int, rules: Rules) -> dict[str, Any]:
    """Return everything that metrics/study/summary.json holds; keys of what is not finished are left out.

    `cells_*` and `{series}_complete` count; `{condition}_{method}_f1` and `..._minus_full` are means over seeds, with `_sd`
    between seeds and the interval `_low`, `_high`; `..._p_difference`, `..._p_equivalence` (both corrected) and `..._verdict`
    are tests; `rows_{n}_*` is the same on n training rows without regularizers. `change_{method}` is the mean with both
    regularizers minus that without, `interaction_{method}` how much more it is than for full fine-tuning; with two conditions
    before the method, as in `change_awp_both_full`, the same from the first to the second. `conditions_rows` and
    `conditions_epochs` are the size of the trainings behind the conditions, `conditions_awp_*` their AWP.

    Args:
        labels: of the test set, shape (N,), in 0..K-1 with K = `num_classes`.
    """
    counts = {name: cells.count(name) for name in SERIES}
    finished, planned = (sum(count[place] for count in counts.values()) for place in (0, 1))
    values: dict[str, Any] = {
        "cells_planned": planned,
        "cells_finished": finished,
        "cells_missing": planned - finished,
        **{f"{name}_missing": planned - finished for name, (finished, planned) in counts.items()},
        "complete": finished == planned > 0,
        **{f"{name}_complete": cells.complete(name) for name in SERIES},
        "margin": rules.margin,
        "confidence": rules.confidence,
    }
    tested: dict[str, Estimate] = {}
    settings = _compared_settings(cells)
    for prefix, rows in settings.items():
        found, differences = comparison.quality(prefix, comparison.compare(cells, rows, labels, num_classes, rules), rules)
        values |= found
        tested |= differences if not prefix.startswith("rows_") else {}
    compared = tuple(f"conditions-{method}-" for method in TESTED)
    pairs = {cell.rpartition("-")[0] for cell in cells.expected if cell.startswith(compared)}
    values |= comparison.verdicts(tested, rules, 2 * len(pairs)) if tested else {}
    for before, after, prefix in CHANGES:
        if before in settings and after in settings:
            values |= comparison.changes(cells, settings[before], settings[after], labels, num_classes, rules, prefix)
    return values | _of_conditions(cells, settings) | _of_other_series(cells, rules)


def _compared_settings(cells: Cells) -> dict[str, pd.DataFrame]:
    """Return the rows of the table of cells that are compared with each other, by prefix of their keys.

    Of a setting those methods are in it of which all seeds are finished.
    """
    kinds = {"conditions": [(condition, condition) for condition in CONDITIONS]}
    sizes = sorted({int(cell.split("-")[2]) for cell, of in cells.expected.items() if of == "rows"})
    kinds["rows"] = [(f"rows_{size}", str(size)) for size in sizes]
    settings: dict[str, pd.DataFrame] = {}
    for kind, places in kinds.items():
        rows = cells.of(kind)
        for prefix, place in places:
            names = [f"{kind}-{method}-{place}" for method in ORDER if cells.settled(f"{kind}-{method}-{place}")]
            if names:
                settings[prefix] = rows[rows["cell"].map(lambda cell: cell.rpartition("-")[0]).isin(names)]
    return settings


def _of_conditions(cells: Cells, settings: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the size of the trainings of the conditions, what their AWP was, and the cosines of its gradients."""
    main = cells.of("conditions")
    main = main[main["method"] != "head"]
    values = {f"conditions_{key}": int(main[key].iloc[0]) for key in ("rows", "epochs")} if len(main) else {}
    with_awp = [rows[rows["method"] != "head"] for condition, rows in settings.items() if condition in ("awp", "both")]
    for rows in with_awp:
        if len(rows):
            values |= {f"conditions_awp_{key}": rows[f"awp_{key}"].iloc[0] for key in ("epsilon", "target", "embeddings")}
            values |= series.cosines(rows)
    return values


def _of_other_series(cells: Cells, rules: Rules) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if cells.complete("rates"):
        values |= series.rates(cells.of("rates"))
    if cells.complete("targets"):
        values |= series.targets(cells.of("targets"), rules)
    if cells.complete("splits"):
        rows = cells.of("splits")
        values |= series.splits(rows, len(cells.predictions[rows["cell"].iloc[0]]), rules)
    if cells.complete("dose"):
        values |= series.dose(dose_table(cells.of("dose"))) | series.dose_size(cells.of("dose"))
        for kind, ends in variants_table(cells.of("dose")).items():
            values |= known(f"dose_full_{kind}_validation_f1", *ends)
    if cells.complete("crosscheck") and cells.settled(f"conditions-{REFERENCE}-none"):
        rows = cells.of("conditions")
        ours = rows[(rows["method"] == REFERENCE) & (rows["condition"] == "none")]
        plain = cells.of("crosscheck")
        values |= series.crosscheck(ours["test_f1"].to_numpy(float), plain["test_f1"].to_numpy(float), rules)
    return values
