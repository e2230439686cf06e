"""python -m study.summarize

Says what the finished cells of the study show: writes metrics/study/summary.json, plots/study/*.png and their tables *.csv, and
prints the main table. It works on an unfinished study too: methods are compared where all seeds of both are there, a smaller
series where all its cells are; the figures are drawn as far as it goes and say what is missing. It is the last stage of
study/dvc.yaml.
"""

from stages.project.running import loading, report_errors

with loading():
    from typing import Any

    import numpy as np
    import pandas as pd

    from stages.classifier.splits import column, load_labels, load_split
    from stages.presentation.figures import save_figure
    from stages.presentation.text import aligned
    from stages.project.files import content_hash, write_json, write_text
    from stages.project.paths import BASE_MODEL, PLOTS, PROCESSED
    from study.analysis import conclusions
    from study.analysis.bootstrap import Estimate
    from study.analysis.cells import SERIES, Cells, read_cells
    from study.analysis.conclusions import CONDITIONS, ORDER, REFERENCE, TESTED, Rules
    from study.analysis.figures import LABELS, differences_figure, dose_figure, rows_figure
    from study.analysis.tables import differences_table, dose_table, rows_table, variants_table
    from study.definition import cells_of
    from study.paths import CELLS, FOLDER
    from study.settings import Study, load_study

SUMMARY = FOLDER / "summary.json"
FIGURES = PLOTS / "study"


def main() -> None:
    study = load_study()
    rules = Rules(study.study.margin, study.study.confidence, study.study.bootstrap_samples, study.settings.seed)
    cells = read_cells(CELLS, {cell.name: cell.series for cell in cells_of(study).values()})
    labels, num_classes = column(load_split("test"), "label"), len(load_labels())
    summary = made_with(study) | summarize(cells, labels, num_classes, rules)
    write_json(SUMMARY, summary)
    write_figures(cells, summary, rules)
    print(text_of(summary))


def made_with(study: Study) -> dict[str, Any]:
    """Return what the study was about, by which the report knows whether it belongs to a run: texts, encoder, LoRA, adapter."""
    hashes = {"train_sha256": content_hash(PROCESSED / "train.arrow"), "base_sha256": content_hash(BASE_MODEL)}
    return hashes | {f"peft_{key}": value for key, value in study.settings.peft.model_dump().items()}


def summarize(cells: Cells, labels: np.ndarray, num_classes: int, rules: Rules) -> dict[str, Any]:
    """Return everything that metrics/study/summary.json holds; keys of what is not finished are left out.

    `cells_*` and `{series}_complete` count; `{condition}_{method}_f1` and `..._minus_full` are means over seeds, with `_sd`
    between seeds and the interval `_low`, `_high`; `..._p_difference`, `..._p_equivalence` (both corrected) and `..._verdict`
    are tests; `rows_{n}_*` is the same on n training rows without regularizers. `conditions_rows` and `conditions_epochs` are the
    size of the trainings behind the conditions.

    Args:
        labels: of the test set, shape (N,), in 0..K-1 with K = `num_classes`.
    """
    counts = {series: cells.count(series) for series in SERIES}
    finished, planned = (sum(count[place] for count in counts.values()) for place in (0, 1))
    values: dict[str, Any] = {
        "cells_planned": planned,
        "cells_finished": finished,
        "cells_missing": planned - finished,
        **{f"{series}_missing": planned - finished for series, (finished, planned) in counts.items()},
        "complete": finished == planned > 0,
        **{f"{series}_complete": cells.complete(series) for series in SERIES},
        "margin": rules.margin,
        "confidence": rules.confidence,
    }
    tested: dict[str, Estimate] = {}
    for prefix, rows in _compared_settings(cells).items():
        found, differences = conclusions.quality(prefix, conclusions.compare(cells, rows, labels, num_classes, rules), rules)
        values |= found
        tested |= differences if not prefix.startswith("rows_") else {}
    compared = tuple(f"conditions-{method}-" for method in TESTED)
    pairs = {cell.rpartition("-")[0] for cell in cells.expected if cell.startswith(compared)}
    values |= conclusions.verdicts(tested, rules, 2 * len(pairs)) if tested else {}
    main = cells.of("conditions")
    if len(main := main[main["method"] != "head"]):
        values |= {f"conditions_{key}": int(main[key].iloc[0]) for key in ("rows", "epochs")}
    values |= _of_other_series(cells, rules)
    return values


def _compared_settings(cells: Cells) -> dict[str, pd.DataFrame]:
    """Return the rows of the table of cells that are compared with each other, by prefix of their keys.

    Of a setting those methods are in it of which all seeds are finished.
    """
    kinds = {"conditions": [(condition, condition) for condition in CONDITIONS]}
    sizes = sorted({int(cell.split("-")[2]) for cell, of in cells.expected.items() if of == "rows"})
    kinds["rows"] = [(f"rows_{size}", str(size)) for size in sizes]
    settings: dict[str, pd.DataFrame] = {}
    for series, places in kinds.items():
        rows = cells.of(series)
        for prefix, place in places:
            names = [f"{series}-{method}-{place}" for method in ORDER if cells.settled(f"{series}-{method}-{place}")]
            if names:
                settings[prefix] = rows[rows["cell"].map(lambda cell: cell.rpartition("-")[0]).isin(names)]
    return settings


def _of_other_series(cells: Cells, rules: Rules) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if cells.complete("rates"):
        values |= conclusions.rates(cells.of("rates"))
    if cells.complete("targets"):
        values |= conclusions.targets(cells.of("targets"), rules)
    if cells.complete("splits"):
        values |= conclusions.splits(cells.of("splits"), rules)
    if cells.complete("dose"):
        values |= conclusions.dose(dose_table(cells.of("dose"), rules.confidence))
        for kind, ends in variants_table(cells.of("dose"), rules.confidence).items():
            values |= conclusions.known(f"dose_full_{kind}_validation_f1", *ends)
    if cells.complete("crosscheck") and cells.settled(f"conditions-{REFERENCE}-none"):
        rows = cells.of("conditions")
        ours = rows[(rows["method"] == REFERENCE) & (rows["condition"] == "none")]
        plain = cells.of("crosscheck")
        values |= conclusions.crosscheck(ours["test_f1"].to_numpy(float), plain["test_f1"].to_numpy(float), rules)
    return values


def write_figures(cells: Cells, summary: dict[str, Any], rules: Rules) -> None:
    """Write the three figures and their tables; a figure of an unfinished series says how far it is."""
    dose = dose_table(cells.of("dose"), rules.confidence)
    curve = cells.of("rows", "conditions")
    curve = rows_table(curve[curve["condition"] == "none"])
    differences = differences_table(summary)
    for name, table in {"dose": dose, "rows": curve, "differences": differences}.items():
        write_text(FIGURES / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    save_figure(dose_figure(dose, _missing(cells, "dose")), FIGURES / "dose.png")
    save_figure(rows_figure(curve, _missing(cells, "rows", "conditions")), FIGURES / "rows.png")
    note = _missing(cells, "conditions")
    save_figure(differences_figure(differences, rules.margin, rules.confidence, note), FIGURES / "differences.png")


def _missing(cells: Cells, *series: str) -> str:
    """Return how many cells a figure of `series` lacks; "" if none."""
    counts = [cells.count(name) for name in series]
    missing = sum(planned - finished for finished, planned in counts)
    return f"unfinished: {missing} of {sum(planned for _, planned in counts)} cells are missing" if missing else ""


def text_of(summary: dict[str, Any]) -> str:
    """Return what is printed: how far the study is, and a line per method and setting that is finished."""
    total, missing = summary["cells_planned"], summary["cells_missing"]
    open_series = [f"{series} {summary[f'{series}_missing']}" for series in SERIES if not summary[f"{series}_complete"]]
    first = f"{total - missing} of {total} cells are finished" + (f"; missing: {', '.join(open_series)}" if open_series else "")
    rows = [["", "macro F1", "sd", "interval", "minus full", "interval", "verdict"]]
    for setting in CONDITIONS:
        for method in ORDER:
            key = f"{setting}_{method}"
            if f"{key}_f1" in summary:
                rows.append([f"{setting}, {LABELS[method]}", *_cells(summary, f"{key}_f1"), *_difference(summary, key)])
    if len(rows) == 1:
        return f"{first}\nNothing is concluded yet."
    made, planned = summary.get("tests_made", 0), summary.get("tests_planned", 0)
    count = f"{planned} tests" if made == planned else f"{made} of {planned} tests so far"
    tests = f"{count}, corrected together (Holm); equivalent: within {summary['margin']:g}"
    return f"{first}\n{aligned(rows)}\n{tests}"


def _cells(summary: dict[str, Any], key: str) -> list[str]:
    return [f"{summary[key]:.4f}", f"{summary[f'{key}_sd']:.4f}", f"[{summary[f'{key}_low']:.4f}, {summary[f'{key}_high']:.4f}]"]


def _difference(summary: dict[str, Any], key: str) -> list[str]:
    if f"{key}_minus_full" not in summary:
        return ["", "", ""]
    value, low, high = (summary[f"{key}_minus_full{end}"] for end in ("", "_low", "_high"))
    return [f"{value:+.4f}", f"[{low:+.4f}, {high:+.4f}]", summary.get(f"{key}_verdict", "")]


if __name__ == "__main__":
    with report_errors():
        main()
