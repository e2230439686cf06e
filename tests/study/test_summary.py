"""The summary of a drawn study: it finds the effects that were put in, and concludes nothing from what is not finished."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from stages.project.errors import UserError
from study import summarize as summarizing
from study.analysis.cells import SERIES, decoded, read_cells
from study.analysis.comparison import changes
from study.analysis.rules import Rules
from study.analysis.series import crosscheck
from study.analysis.summary import summarize
from study.summarize import text_of, write_figures
from tests.study.synthetic import BEST_RATE, labels_of_test, write_study

RULES = Rules(margin=0.05, confidence=0.95, samples=600, seed=13)


def read(folder: Path, cells):
    return read_cells(folder, {cell.name: cell.series for cell in cells.values()})


def summary_of(cells) -> dict:
    return summarize(cells, labels_of_test(), 2, RULES)


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def planned(study_folder) -> dict:
    return write_study(study_folder)


@pytest.fixture(scope="module")
def finished(study_folder, planned):
    return read(study_folder, planned)


@pytest.fixture(scope="module")
def summary(finished) -> dict:
    return summary_of(finished)


def test_every_cell_is_counted(finished, summary):
    assert summary["cells_finished"] == summary["cells_planned"] == len(finished.expected) and summary["complete"]
    assert all(summary[f"{series}_complete"] and summary[f"{series}_missing"] == 0 for series in SERIES)
    assert sum(finished.count(series)[1] for series in SERIES) == len(finished.expected)  # no series is left out


def test_the_summary_is_flat_and_json(summary):
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert all(isinstance(value, (int, float, str)) for value in summary.values())


def test_scores_are_means_over_seeds_of_macro_f1(finished, summary):
    cells = [name for name in finished.expected if name.startswith("conditions-lora-none-")]
    scores = [f1_score(labels_of_test(), finished.predictions[name], average="macro") for name in cells]
    assert summary["none_lora_f1"] == pytest.approx(np.mean(scores), abs=1e-6) and summary["none_lora_seeds"] == len(cells) == 5
    assert summary["none_lora_f1_sd"] == pytest.approx(np.std(scores, ddof=1), abs=1e-6)
    assert (summary["conditions_rows"], summary["conditions_epochs"]) == (7049, 3)
    assert summary["none_lora_f1_low"] < summary["none_lora_f1"] < summary["none_lora_f1_high"]
    difference = summary["none_lora_f1"] - summary["none_full_f1"]
    assert summary["none_lora_minus_full"] == pytest.approx(difference, abs=2e-6)


def test_a_handicap_of_full_fine_tuning_shows_in_its_conditions_only(summary):
    """AWP costs full fine-tuning alone: LoRA is equivalent without it and better with it."""
    assert summary["none_lora_verdict"] == "equivalent" and summary["mixout_lora_verdict"] == "equivalent"
    assert summary["awp_lora_verdict"] == summary["both_lora_verdict"] == "better"
    assert summary["tests_made"] == 2 * 2 * 4  # two tests for two methods in four conditions
    assert not any(key.startswith("none_head_p") or key.endswith("head_verdict") for key in summary)


def test_what_the_regularizers_change_is_the_difference_of_the_means_and_of_the_differences(summary):
    """AWP takes skill from full fine-tuning alone, so that it changes by less than nothing and the others by nothing."""
    for method in ("full", "lora", "adapter", "head"):
        moved = summary[f"both_{method}_f1"] - summary[f"none_{method}_f1"]
        assert summary[f"change_{method}"] == pytest.approx(moved, abs=2e-6)
    assert summary["change_full_high"] < 0 and summary["change_lora_low"] < 0 < summary["change_lora_high"]
    for method in ("lora", "adapter"):
        turned = summary[f"both_{method}_minus_full"] - summary[f"none_{method}_minus_full"]
        assert summary[f"interaction_{method}"] == pytest.approx(turned, abs=3e-6) and summary[f"interaction_{method}_low"] > 0
    assert not {"interaction_full", "interaction_head"} & set(summary)


@pytest.mark.parametrize(("before", "after"), [("none", "mixout"), ("none", "awp"), ("awp", "both")])
def test_each_regularizer_alone_has_its_change_too(before, after, summary):
    for method in ("full", "lora", "adapter", "head"):
        moved = summary[f"{after}_{method}_f1"] - summary[f"{before}_{method}_f1"]
        key = f"change_{before}_{after}_{method}"
        assert summary[key] == pytest.approx(moved, abs=2e-6) and summary[f"{key}_low"] < summary[key] < summary[f"{key}_high"]
    lost = summary[f"change_{before}_{after}_full_high"] < 0
    assert lost == (after == "awp")  # what was put in: AWP takes skill from full fine-tuning, mixout from nobody


def test_the_interaction_is_paired_by_seed_and_text(finished, summary):
    """Its interval is narrower than that of two independent differences: the test texts are the same in all four means."""
    halves = [summary[f"{c}_lora_minus_full_high"] - summary[f"{c}_lora_minus_full_low"] for c in ("none", "both")]
    assert summary["interaction_lora_high"] - summary["interaction_lora_low"] < np.hypot(*halves)


def test_settings_with_other_seeds_are_not_subtracted(finished):
    rows = finished.of("conditions")
    before, after = (rows[rows["condition"] == condition] for condition in ("none", "both"))
    with pytest.raises(UserError, match=r"\[1, 2, 3, 4, 5\].*\[2, 3, 4, 5\]; they must be the same"):
        changes(finished, before, after[after["seed"] > 1], labels_of_test(), 2, RULES)


def test_the_gradients_of_the_conditions(summary):
    assert summary["conditions_awp_epsilon"] == 0.01 and summary["conditions_awp_target"] == "trainable"
    assert summary["both_lora_cosine"] == 1 and summary["awp_full_cosine"] < 0.5 and "none_full_cosine" not in summary
    assert "both_head_cosine" not in summary


def test_the_dose_shows_the_same_treatment_where_all_weights_move(finished, summary):
    for method in ("lora", "adapter"):
        assert summary[f"dose_{method}_trainable_0.01_cosine"] == 1
        assert summary[f"dose_{method}_all_0.01_cosine"] == summary["dose_full_trainable_0.01_cosine"] < 0.5
    full = [summary[f"dose_full_trainable_{epsilon:g}_cosine"] for epsilon in (0.0003, 0.001, 0.003, 0.01)]
    assert all(one > other for one, other in pairwise(full)) and "dose_full_off_cosine" not in summary
    assert summary["dose_full_off_validation_f1"] > summary["dose_full_trainable_0.01_validation_f1"]
    assert {f"dose_full_{kind}_validation_f1" for kind in ("rows", "exclude", "box")} <= set(summary)
    seeds = finished.of("dose").set_index("cell")["validation_f1"][[f"dose_without-lora-{seed}" for seed in (1, 2, 3)]]
    found = [summary[f"dose_lora_off_validation_f1{end}"] for end in ("", "_min", "_max")]
    assert found == pytest.approx([seeds.mean(), seeds.min(), seeds.max()], abs=1e-6)
    assert (summary["dose_rows"], summary["dose_epochs"], summary["dose_seeds"]) == (1000, 3, 3)
    assert (summary["dose_box"], summary["dose_variants_epsilon"]) == (0.01, 0.01)


def test_rates_targets_and_splits(summary):
    for method, rate in BEST_RATE.items():
        assert summary[f"rate_none_{method}"] == rate and summary[f"rate_none_{method}_inside_grid"] is True
        assert 0 < summary[f"rate_none_{method}_lead"] < 0.2
    assert summary["rate_none_lora_to_full"] == 20 and (summary["rates_seeds"], summary["rates_none_rows"]) == (1, 2750)
    assert (summary["targets_seeds"], summary["targets_rows"], summary["splits_number"], summary["splits_rows"]) == (
        3,
        1250,
        3,
        3000,
    )
    assert summary["target_attention_rate_inside_grid"] is True
    assert summary["target_feed_forward_minus_attention"] < 0 and summary["target_attention_trainable"] == 148_226
    assert summary["splits_none_lora_minus_full_low"] < 0 < summary["splits_none_lora_minus_full_high"]


def test_the_crosscheck_by_hand():
    agrees = crosscheck(np.array([0.85, 0.86, 0.87]), np.array([0.865]), RULES)
    # spread between the three seeds 0.01, two degrees of freedom: 4.3027 * 0.01 * sqrt(1 / 3 + 1)
    assert agrees["crosscheck_reach"] == pytest.approx(4.3027 * 0.01 * np.sqrt(4 / 3), abs=1e-5) and agrees["crosscheck_agrees"]
    assert not crosscheck(np.array([0.85, 0.86, 0.87]), np.array([0.80]), RULES)["crosscheck_agrees"]


def part_of(finished, keep) -> dict:
    """The summary of a study of which only the cells are finished whose name `keep` accepts."""
    return summary_of(replace(finished, table=finished.table[finished.table["cell"].map(keep)]))


def compared(values: dict) -> set[str]:
    return {key.removesuffix("_verdict") for key in values if key.endswith("_verdict")}


def test_of_a_study_that_is_cut_off_is_concluded_what_has_all_seeds_of_both_sides(finished, summary):
    rates = part_of(finished, lambda cell: cell.startswith("rates"))
    assert rates["rates_complete"] and not compared(rates) and "Nothing is concluded yet." in text_of(rates)

    def three_seeds(cell: str) -> bool:
        return cell.startswith("rates") or (cell.startswith("conditions-") and cell[-1] in "123")

    some = part_of(finished, three_seeds)
    assert not compared(some) and not any(key.endswith("_f1") and key.startswith(("none_", "both_")) for key in some)
    assert "84 of " in text_of(some) and "Nothing is concluded yet." in text_of(some)

    def first_two(cell: str) -> bool:
        return cell.startswith("rates") or (cell.startswith("conditions-") and cell.split("-")[2] in ("none", "both"))

    two = part_of(finished, first_two)
    assert compared(two) == {f"{condition}_{method}" for condition in ("none", "both") for method in ("lora", "adapter")}
    assert (two["tests_made"], two["tests_planned"]) == (8, 16) and not two["conditions_complete"]
    for key in ("none_lora_f1", "none_lora_minus_full_low", "both_adapter_minus_full", "conditions_rows", "conditions_epochs"):
        assert two[key] == summary[key]
    assert all(two[f"{key}_p_difference"] >= summary[f"{key}_p_difference"] for key in compared(two))
    assert "8 of 16 tests so far, corrected together" in text_of(two) and "missing: conditions 40" in text_of(two)
    assert max(map(len, text_of(two).splitlines())) <= 120


def test_a_method_without_all_its_seeds_is_not_compared_and_the_others_are(finished):
    no_adapter = part_of(finished, lambda cell: cell != "conditions-adapter-none-5")
    assert "none_adapter" not in compared(no_adapter) and {"none_lora", "both_adapter"} < compared(no_adapter)
    assert "none_adapter_f1" not in no_adapter and "none_head_minus_full" in no_adapter
    no_full = part_of(finished, lambda cell: cell != "conditions-full-none-5")
    assert "none_lora_f1" in no_full and not {"none_lora_minus_full", "none_lora_verdict", "crosscheck_agrees"} & set(no_full)
    assert "rows_250_lora_minus_full" in part_of(finished, lambda cell: cell != "rows-adapter-250-1")


@pytest.mark.parametrize("series", SERIES)
def test_one_missing_cell_silences_its_series_and_no_other(series, finished, summary):
    victim = next(name for name, of in finished.expected.items() if of == series)
    table = finished.table[finished.table["cell"] != victim]
    left = summary_of(replace(finished, table=table))
    assert left["cells_missing"] == left[f"{series}_missing"] == 1 and not left["complete"]
    assert [name for name in SERIES if not left[f"{name}_complete"]] == [series]
    own = {"conditions": "none_full", "rates": "rate_", "targets": "target_", "splits": "splits_none",
           "rows": "rows_250_full", "dose": "dose_full", "crosscheck": "crosscheck_study"}  # fmt: skip
    assert any(key.startswith(own[series]) for key in summary) and not any(key.startswith(own[series]) for key in left)


def test_a_study_without_a_cell_says_so(tmp_path, monkeypatch):
    planned = write_study(tmp_path / "elsewhere")
    cells = read(tmp_path / "nothing", planned)
    monkeypatch.chdir(tmp_path)
    found = summary_of(cells)
    assert found["cells_missing"] == found["cells_planned"] and not any(key.endswith(("_f1", "_verdict")) for key in found)
    assert "Nothing is concluded yet." in text_of(found)
    write_figures(cells, planned.values(), found, RULES)
    assert sorted(path.name for path in Path("plots/study").iterdir()) == [
        "differences.csv", "differences.png", "dose.csv", "dose.png", "rows.csv", "rows.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lost", "on_curve", "on_doses"),
    [("conditions-full-awp-1", 0, 0), ("conditions-full-none-1", 1, 0), ("rows-lora-250-1", 1, 0), ("dose_without-full-1", 0, 1)],
)
def test_a_figure_says_how_many_cells_it_lacks_and_not_how_many_others_do(
    lost, on_curve, on_doses, finished, planned, summary, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    notes = {}
    monkeypatch.setattr(summarizing, "rows_figure", lambda curve, note: notes.update(rows=note))
    monkeypatch.setattr(summarizing, "dose_figure", lambda dose, size, note: notes.update(dose=note))
    monkeypatch.setattr(summarizing, "save_figure", lambda figure, path: None)
    left = replace(finished, table=finished.table[finished.table["cell"] != lost])
    write_figures(left, planned.values(), summary, RULES)
    drawn = [cell for cell in planned.values() if cell.series in ("rows", "conditions") and cell.condition == "none"]
    doses = [cell for cell in planned.values() if cell.series == "dose"]
    assert notes["rows"] == (f"unfinished: 1 of {len(drawn)} cells are missing" if on_curve else "")
    assert notes["dose"] == (f"unfinished: 1 of {len(doses)} cells are missing" if on_doses else "")


def test_what_is_printed_fits_a_terminal(summary):
    text = text_of(summary)
    assert max(map(len, text.splitlines())) <= 120 and "none, LoRA" in text and "equivalent" in text


@pytest.mark.slow
def test_figures_and_tables_have_the_same_bytes_twice(finished, planned, summary, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_figures(finished, planned.values(), summary, RULES)
    first = {path.name: path.read_bytes() for path in Path("plots/study").iterdir()}
    write_figures(finished, planned.values(), summary, RULES)
    assert {path.name: path.read_bytes() for path in Path("plots/study").iterdir()} == first
    table = pd.read_csv("plots/study/differences.csv").set_index(["setting", "method"])
    assert table.loc[("none", "lora"), "minus_full"] == summary["none_lora_minus_full"]
    assert set(pd.read_csv("plots/study/rows.csv")["rows"]) == {250, 1000, 3500, 7049}


def test_broken_files_are_named(tmp_path):
    cells = write_study(tmp_path)
    victim = next(name for name in cells if name.startswith("conditions-lora"))
    path = tmp_path / f"{victim}.json"
    good = json.loads(path.read_text())
    for content, words in {
        "{": "no JSON",
        json.dumps({"cell": victim}): "without series, method",
        json.dumps(good | {"cell": "other"}): "belongs to the cell other",
        json.dumps(good | {"test_predictions": "01x"}): "whole numbers, not '01x'",
    }.items():
        path.write_text(content)
        with pytest.raises(UserError, match=rf"{victim}\.json: .*{words}"):
            read(tmp_path, cells)
    for change in ({"test_predictions": "01"}, {"test_predictions": None}, {"test_sha256": "0"}):
        path.write_text(json.dumps(good | change))
        with pytest.raises(UserError, match=rf"{victim}: .* another test set .* make study CELL={victim}"):
            summary_of(read(tmp_path, cells))


def test_predictions_of_more_than_ten_classes_have_spaces():
    assert decoded("3 11 0", Path("x")).tolist() == [3, 11, 0] and decoded("310", Path("x")).tolist() == [3, 1, 0]
