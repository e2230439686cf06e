"""The methods of one training setting compared with full fine-tuning, and what a regularizer changes in each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.project.errors import UserError
from study.analysis.bootstrap import Estimate, Resamples, contrast, mean_difference, mean_f1, resample
from study.analysis.cells import Cells, fingerprint
from study.analysis.rules import ORDER, REFERENCE, TESTED, Rules, numbers, rounded
from study.analysis.verdicts import difference_p, equivalence_p, holm, pooled, smallest_margin, verdict


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
    methods, seeds, predictions = _predicted(cells, rows, labels, num_classes)
    return Compared(methods, resample(labels, predictions, num_classes, rules.samples, rules.seed), len(seeds))


def _predicted(cells: Cells, rows: pd.DataFrame, labels: np.ndarray, num_classes: int) -> tuple[list[str], list[int], np.ndarray]:
    """Return the methods M and seeds S of `rows`, and the predicted classes (M, S, N)."""
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
    return methods, seeds, stacked


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


def changes(
    cells: Cells, before: pd.DataFrame, after: pd.DataFrame, labels: np.ndarray, num_classes: int, rules: Rules, prefix: str = ""
) -> dict[str, Any]:
    """Return by how much each method differs between two settings, and how much more or less than full fine-tuning does.

    With F(m, c) the mean macro F1 of method m in setting c: `change_m` = F(m, after) - F(m, before), and the interaction of
    method and setting, `interaction_m` = change_m - change_full, which is also the difference from full fine-tuning after minus
    that before. Both are paired by seed and text. They are no tests: their intervals are not corrected for being several.

    Args:
        prefix: what stands before m in the keys.

    Raises:
        UserError: as in `compare`, or the two settings have other seeds.
    """
    (methods, seeds, earlier), (others, again, later) = (_predicted(cells, r, labels, num_classes) for r in (before, after))
    if seeds != again:
        raise UserError(f"{before['cell'].iloc[0]} has the seeds {seeds}, {after['cell'].iloc[0]} {again}; they must be the same")
    both = [method for method in methods if method in others]
    stacked = np.concatenate([earlier[[methods.index(m) for m in both]], later[[others.index(m) for m in both]]])
    found = resample(labels, stacked, num_classes, rules.samples, rules.seed)
    weights = {method: {place + len(both): 1, place: -1} for place, method in enumerate(both)}
    values: dict[str, Any] = {}
    for method in both:
        values |= numbers(f"change_{prefix}{method}", contrast(found, weights[method], rules.confidence))
        if method in TESTED and REFERENCE in both:
            full = {place: -weight for place, weight in weights[REFERENCE].items()}
            values |= numbers(f"interaction_{prefix}{method}", contrast(found, weights[method] | full, rules.confidence))
    return values


def verdicts(tested: Mapping[str, Estimate], rules: Rules, planned: int) -> dict[str, Any]:
    """Return the corrected p values and the word of every tested difference, how many tests were made, and are planned.

    Beside them, for a reader who would have decided otherwise: the smallest margin at which a single test, not corrected, would
    find the difference equivalent; whether its variance over seeds came out as 0; and p and word with that variance pooled over
    all differences, which five seeds estimate better than one difference does. None of the three is behind a verdict.
    """
    level = 1 - rules.confidence
    words, shared = _decided(tested, rules, planned), _decided(pooled(tested), rules, planned)
    values: dict[str, Any] = {"tests_made": 2 * len(tested), "tests_planned": planned}
    for key, e in tested.items():
        different, equivalent, word = words[key]
        values |= {
            f"{key}_p_difference": float(f"{different:.4g}"),
            f"{key}_p_equivalence": float(f"{equivalent:.4g}"),
            f"{key}_verdict": word,
            f"{key}_smallest_margin": rounded(smallest_margin(e, level)),
            f"{key}_seed_variance_zero": e.of_seeds <= e.of_both,
            f"{key}_p_difference_pooled": float(f"{shared[key][0]:.4g}"),
            f"{key}_verdict_pooled": shared[key][2],
        }
    return values


def _decided(tested: Mapping[str, Estimate], rules: Rules, planned: int) -> dict[str, tuple[float, float, str]]:
    """Return, for each difference, both p values after Holm's correction over all of them, and the word."""
    raw = [difference_p(e) for e in tested.values()] + [equivalence_p(e, rules.margin) for e in tested.values()]
    corrected = holm(raw, planned)
    pairs = zip(tested.items(), corrected[: len(tested)], corrected[len(tested) :], strict=True)
    return {key: (one, other, verdict(e.value, one, other, 1 - rules.confidence)) for (key, e), one, other in pairs}
