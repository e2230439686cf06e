"""The cells of the study: what and how many they are, that they fit the budget, and that DVC's matrix has the same."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from stages.project.errors import UserError
from stages.project.parameters import leaf_values, load_params
from stages.project.pipeline import named_parameters
from stages.project.schema import METHODS as TRAINED
from study import budget
from study.definition import cells_of, find_cell, params_of
from study.settings import load_study
from tests.imports import ROOT

SIZES = {"train": 7049, "validation": 1007, "test": 2014, "transfer": 6348}


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "study/params.yaml")


def test_every_comparison_has_its_methods_conditions_and_seeds(study):
    cells = cells_of(study).values()
    assert len(cells_of(study)) == len({cell.name for cell in cells}) == len({cell.stage for cell in cells})
    number = Counter(cell.group for cell in cells)
    assert number["conditions"] == 4 * 4 * 5  # methods, conditions, seeds
    assert number["splits"] == 3 * 3 and number["rows"] == 4 * 3 * 5  # methods, split seeds; methods, sizes, seeds
    assert number["dose_trainable"] == 3 * 4 * 3 and number["dose_all"] == 2 * 4 * 3 and number["dose_variant"] == 3 * 3
    assert number["targets"] == 3 * 4 * 3 and number["trainer"] == 1
    assert all(number[f"rates_{method}"] >= 2 * 4 for method in ("full", "lora", "adapter", "head"))
    assert min(len(set(part.seeds)) for part in (study.conditions, study.rows)) >= 5


def test_the_test_set_is_for_what_is_concluded_and_not_for_what_is_chosen(study):
    tested = {cell.series for cell in cells_of(study).values() if cell.tested}
    assert tested == {"conditions", "splits", "rows", "crosscheck"}
    assert {cell.series for cell in cells_of(study).values() if not cell.tested} == {"rates", "dose", "targets"}


def test_the_rates_come_first_and_their_seeds_are_used_for_nothing_that_is_tested(study):
    cells = list(cells_of(study).values())
    assert [cell.series == "rates" for cell in cells] == sorted((cell.series == "rates" for cell in cells), reverse=True)
    assert not {cell.seed for cell in cells if cell.series != "rates"} & set(study.rates.seeds)


def test_the_most_valuable_cells_come_first_in_whole_seeds_of_all_methods(study):
    """Neither and both, which answer the question, before the other conditions and series; and these seed by seed too."""
    cells = [cell for cell in cells_of(study).values() if cell.series != "rates"]
    first, rest = cells[:40], cells[41:]
    assert {(cell.series, cell.condition) for cell in first} == {("conditions", "none"), ("conditions", "both")}
    assert [cell.seed for cell in first] == sorted(cell.seed for cell in first) and cells[40].name == "trainer-1"
    assert [cell.method for cell in first[:4]] == ["full", "lora", "adapter", "head"]
    assert list(dict.fromkeys(cell.series for cell in rest)) == ["conditions", "dose", "rows", "targets", "splits"]
    for series in ("conditions", "dose", "rows", "targets"):
        seeds = [cell.seed for cell in rest if cell.series == series]
        assert seeds == sorted(seeds)
    splits = [cell.split_seed for cell in rest if cell.series == "splits"]
    assert splits == sorted(splits)


def test_the_head_alone_gets_more_epochs_in_every_series(study):
    for cell in (cell for cell in cells_of(study).values() if cell.method == "head"):
        other = find_cell(study, cell.name.replace("head", "lora")) if cell.series != "rates" else find_cell(
            study, f"rates_lora-{cell.condition}-0.001-101")  # fmt: skip
        assert cell.epochs == study.head.epochs_factor * other.epochs > 15 and cell.rows == other.rows


def test_the_learning_curve_ends_in_the_main_table_and_the_plain_recipe_trains_as_it_does(study):
    ends = [find_cell(study, name) for name in ("conditions-full-none-1", "trainer-1")]
    assert [(cell.rows, cell.epochs, cell.seed) for cell in ends] == [(None, 3, 1)] * 2
    assert max(study.rows.sizes) < SIZES["train"] and study.rows.epochs == study.conditions.epochs
    assert study.rows.seeds == study.conditions.seeds and study.rows.methods == study.conditions.methods


def test_no_cell_is_shorter_than_three_epochs_and_small_sets_get_their_steps(study):
    for cell in cells_of(study).values():
        assert cell.epochs >= 3
        assert cell.epochs * ((cell.rows or SIZES["train"]) // 32) >= 93


def test_the_study_fits_its_budget(study):
    total = sum(budget.seconds_of(cell, study, SIZES) for cell in cells_of(study).values()) / 2 / 3600
    assert 6 < total <= study.budget.hours == 8.1


def test_the_seconds_of_a_cell_are_its_texts_over_their_speeds(study):
    speeds, start = study.budget, study.budget.start
    for condition, transfer in {"none": 6348, "mixout": 0}.items():
        assert budget.seconds_of(find_cell(study, f"conditions-lora-{condition}-1"), study, SIZES) == pytest.approx(
            start + 3 * 7049 / speeds.training.lora + (3 * 1007 + 2014 + transfer) / speeds.prediction
        )
    awp = find_cell(study, "dose_trainable-full-0.01-1")
    assert budget.seconds_of(awp, study, SIZES) == pytest.approx(
        start + 3 * study.dose.rows * (0.5 / speeds.training.full + 0.5 / speeds.training_awp.full) + 3 * 1007 / speeds.prediction
    )
    assert budget.seconds_of(find_cell(study, "dose_all-lora-0.01-1"), study, SIZES) > budget.seconds_of(
        find_cell(study, "dose_trainable-lora-0.01-1"), study, SIZES
    )


def test_speeds_measured_here_correct_the_time_that_is_left(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = list(cells_of(study).values())[:4]
    monkeypatch.setattr(budget, "read_seconds", lambda: {
        cell.name: (2 * budget.seconds_of(cell, study, SIZES), budget.machine()) for cell in cells
    })  # fmt: skip
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in a cell, and perhaps not where the time is told
    assert budget.correction(cells, study, SIZES) == pytest.approx(2)
    assert budget.correction(cells[:2], study, SIZES) == 1


def test_settings_are_those_of_the_project(study):
    ours = leaf_values(study.settings.model_dump())
    theirs = leaf_values(load_params(ROOT / "params.yaml").model_dump())
    assert {key: theirs[key] for key in ours} == ours


def test_cells_know_every_parameter_of_a_training_and_no_other(study):
    """What a train stage names in dvc.yaml is in the settings, or varied by the series."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    named = {key for method in TRAINED for key in named_parameters(pipeline[f"train_{method}"])}
    varied = {"train.epochs", "train.patience", "awp.enabled", "mixout.enabled", *(f"train.learning_rate.{m}" for m in TRAINED)}
    ours = set(leaf_values(study.settings.model_dump()))
    assert named - varied <= ours and not varied & ours
    params = params_of(find_cell(study, "conditions-lora-both-1"), study, 1e-3)
    assert params.awp.enabled and params.mixout.enabled and params.train.learning_rate.lora == 1e-3 and params.seed == 1
    assert not hasattr(params, "benchmark") and not hasattr(params.data, "source")


def test_a_series_changes_what_it_says_and_nothing_else(study):
    def values(name: str) -> dict:
        return leaf_values(params_of(find_cell(study, name), study, 1e-3).model_dump(warnings=False))

    def differences(one: str, other: str) -> dict:
        return {key: value for key, value in values(other).items() if values(one)[key] != value}

    assert differences("conditions-full-none-1", "conditions-full-mixout-1") == {"mixout.enabled": True}
    assert differences("conditions-full-mixout-1", "conditions-full-both-1") == {"awp.enabled": True}
    assert differences("dose_trainable-lora-0.01-1", "dose_all-lora-0.01-1") == {"awp.target": "all"}
    assert differences("dose_trainable-full-0.01-1", "dose_variant-rows-1") == {"awp.embeddings": "rows"}
    assert differences("dose_trainable-full-0.01-1", "dose_variant-box-1") == {"awp.box": 0.01}
    assert differences("targets-attention-1.0-102", "targets-all-1.0-102") == {
        "peft.target": "all",
        "peft.rank": 4,
        "peft.alpha": 8,
    }


def test_an_unknown_cell_is_refused_with_similar_names(study):
    with pytest.raises(UserError, match=r"no cell 'trainer-9'.*trainer-1"):
        find_cell(study, "trainer-9")


@pytest.mark.parametrize(
    ("section", "key", "seeds"),
    [("rates", "seeds", [101, 3]), ("dose", "seeds", [3, 101]), ("targets", "seeds", [101, 3]), ("splits", "seed", 101)],
)
def test_a_seed_of_the_rates_that_the_study_uses_too_is_refused(tmp_path, section, key, seeds):
    content = yaml.safe_load((ROOT / "study/params.yaml").read_text())
    content[section][key] = seeds
    del content["settings"]["train"]["batch_size"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError) as refused:
        load_study(tmp_path / "params.yaml")
    shared = 3 if section == "rates" else 101
    assert "2 fault(s)" in str(refused.value) and f"[{shared}] in both" in str(refused.value)
    assert "check batch_size" in str(refused.value)


@pytest.mark.slow
def test_the_matrix_of_dvc_has_exactly_these_cells(study):
    dvc = Path(sys.executable).with_name("dvc")
    command = [dvc, "--cd", "study", "stage", "list", "--name-only"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
    )
    listed = [stage for stage in done.stdout.split() if "@" in stage]
    assert sorted(listed) == sorted(cell.stage for cell in cells_of(study).values())


def test_a_stage_runs_the_cell_of_its_name_and_reads_what_the_cell_reads(study):
    stages = yaml.safe_load((ROOT / "study/dvc.yaml").read_text())["stages"]
    for group, definition in stages.items():
        if "matrix" not in definition:
            continue
        name = "-".join([group, *(f"${{item.{key}}}" for key in definition["matrix"])])
        assert definition["cmd"] == f"cd .. && sh stages/project/activated.sh python -m study.cell {name}"
        assert definition["outs"] == [{f"../metrics/study/cells/{name}.json": {"cache": False}}]
        assert [dep.startswith("../metrics/study/inputs/") for dep in definition["deps"]] == [True]
        assert (group.startswith("rates")) != ("rates.json" in json.dumps(definition["params"]))


def test_no_stage_of_the_comparison_depends_on_a_folder_in_the_study():
    """Seen from the comparison's DVC project, the folder of another one is closed: a folder in it counts as empty."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    inside = [dep for stage in stages.values() for dep in stage["deps"] if dep == "study" or dep.startswith("study/")]
    assert [dep for dep in inside if not (ROOT / dep).is_file()] == []
    assert (ROOT / "study/.dvc/config").is_file()
