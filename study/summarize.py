"""python -m study.summarize

Says what the finished cells of the study show: writes metrics/study/summary.json, plots/study/*.png and their tables *.csv, and
prints the main table. It works on an unfinished study too: methods are compared where all seeds of both are there, a smaller
series where all its cells are; the figures are drawn as far as it goes and say what is missing. It is the last stage of
study/dvc.yaml.
"""

from stages.project.running import loading, report_errors

with loading():
    from collections.abc import Collection
    from typing import Any

    import pandas as pd

    from stages.classifier.splits import column, load_labels, load_split
    from stages.presentation.figures import save_figure
    from stages.presentation.text import aligned
    from stages.project.files import content_hash, write_json, write_text
    from stages.project.paths import BASE_MODEL, PLOTS, PROCESSED
    from study.analysis.cells import SERIES, Cells, read_cells
    from study.analysis.figures import LABELS, SETTINGS, differences_figure, dose_figure, rows_figure
    from study.analysis.rules import CONDITIONS, ORDER, TESTED, Rules
    from study.analysis.summary import summarize
    from study.analysis.tables import differences_table, dose_table, rows_table
    from study.definition import Cell, cells_of
    from study.paths import CELLS, FOLDER
    from study.settings import Study, load_study

SUMMARY = FOLDER / "summary.json"
FIGURES = PLOTS / "study"


def main() -> None:
    study = load_study()
    rules = Rules(study.study.margin, study.study.confidence, study.study.bootstrap_samples, study.settings.seed)
    planned = cells_of(study).values()
    cells = read_cells(CELLS, {cell.name: cell.series for cell in planned})
    labels, num_classes = column(load_split("test"), "label"), len(load_labels())
    summary = made_with(study) | summarize(cells, labels, num_classes, rules)
    write_json(SUMMARY, summary)
    write_figures(cells, planned, summary, rules)
    print(text_of(summary))


def made_with(study: Study) -> dict[str, Any]:
    """Return what the study was about, by which the report knows whether it belongs to a run: texts, encoder, LoRA, adapter."""
    hashes = {"train_sha256": content_hash(PROCESSED / "train.arrow"), "base_sha256": content_hash(BASE_MODEL)}
    return hashes | {f"peft_{key}": value for key, value in study.settings.peft.model_dump().items()}


def write_figures(cells: Cells, planned: Collection[Cell], summary: dict[str, Any], rules: Rules) -> None:
    """Write the three figures and their tables; a figure of an unfinished series says how far it is."""
    dose = dose_table(cells.of("dose"))
    curve = cells.of("rows", "conditions")
    curve = rows_table(curve[curve["condition"] == "none"])
    differences = differences_table(summary)
    for name, table in {"dose": dose, "rows": curve, "differences": differences}.items():
        write_text(FIGURES / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    doses = {cell.name for cell in planned if cell.series == "dose"}
    save_figure(dose_figure(dose, _size(cells.of("dose")), _missing(cells, doses)), FIGURES / "dose.png")
    on_curve = {cell.name for cell in planned if cell.series in ("rows", "conditions") and cell.condition == "none"}
    save_figure(rows_figure(curve, _missing(cells, on_curve)), FIGURES / "rows.png")
    still = [name for name in CONDITIONS if not set(TESTED) <= set(differences.loc[differences["setting"] == name, "method"])]
    note = f"still to be trained: {', '.join(SETTINGS[name].replace(chr(10), ' ') for name in still)}" if still else ""
    save_figure(differences_figure(differences, rules.margin, rules.confidence, note), FIGURES / "differences.png")


def _size(rows: pd.DataFrame) -> str:
    """Return how large the trainings of a series are, which all have the same size; "" before the first."""
    return f"{rows['rows'].iloc[0]:,} training rows, {rows['epochs'].iloc[0]} epochs" if len(rows) else ""


def _missing(cells: Cells, drawn: set[str]) -> str:
    """Return how many of the cells that a figure draws when all are finished are missing; "" if none."""
    missing = len(drawn - set(cells.table["cell"]))
    return f"unfinished: {missing} of {len(drawn)} cells are missing" if missing else ""


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
