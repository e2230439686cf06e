"""In which order the cells run; processes that copy a file stand for cells, and files for DVC's record of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.project.errors import UserError
from stages.project.files import read_json, write_json
from study import run, state
from study.definition import cells_of
from study.paths import CELLS, RATES
from study.settings import load_study
from tests.imports import ROOT

COPY = "import shutil, sys, time; time.sleep(0.01); shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture
def started(tmp_path, monkeypatch) -> list[str]:
    """The stages in the order in which they were started; a small study, whose files lie ready in the folder `ready`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "study", "study", ignore=shutil.ignore_patterns("__pycache__", ".dvc", "analysis"))
    text = (ROOT / "study/params.yaml").read_text()
    for line in ("  methods: [full, lora, adapter, head]", "  seeds: [1, 2, 3, 4, 5]"):
        assert text.count(line) == 2  # of conditions and rows
        text = text.replace(line, line.partition("[")[0] + {"m": "[lora]", "s": "[1]"}[line.strip()[0]])
    text = re.sub(r"    head: \[.*\]", "    head: [1.0e-2, 3.0e-2, 0.1, 0.3]", text)
    (tmp_path / "study/params.yaml").write_text(text)
    write_json(tmp_path / "metrics/data.json", {"train_rows": 7049, "validation_rows": 1007, "test_rows": 2014})
    study = load_study()
    for cell in cells_of(study).values():
        grid = getattr(study.rates.grid, cell.method)
        score = 0.9 - 0.1 * abs(grid.index(cell.learning_rate) - 1) if cell.series == "rates" else 0.5
        row = {
            "cell": cell.name,
            "learning_rate": cell.learning_rate,
            "validation_f1": score,
            "validation_loss": 0.5,
            "test_f1": None,
        }
        write_json(tmp_path / f"ready/{cell.stage}.json", row | {"test_predictions": None})
    names: list[str] = []

    def start(stage: str, log) -> subprocess.Popen:
        names.append(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        name = stage.replace("@", "-", 1)
        CELLS.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-ISc", COPY, f"ready/{stage}.json", CELLS / f"{name}.json"], start_new_session=True
        )

    def unfinished() -> set[str]:
        return {cell.stage for cell in cells_of(load_study()).values() if not (CELLS / f"{cell.name}.json").is_file()}

    monkeypatch.setattr(run, "require_data", lambda: None)
    monkeypatch.setattr(run.inputs, "main", list)
    monkeypatch.setattr(state, "start_stage", start)
    monkeypatch.setattr(state, "unfinished_stages", unfinished)
    return names


def wanted(*groups: str):
    return [cell for cell in cells_of(load_study()).values() if cell.group.startswith(groups)]


def test_the_rates_are_tried_and_chosen_before_the_cells_that_take_them(started, capsys):
    run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert len(started) == 4 * 2 * 4 + 4 and all(stage.startswith("rates") for stage in started[:-4])
    assert sorted(started[-4:]) == [f"conditions@lora-{condition}-1" for condition in ("awp", "both", "mixout", "none")]
    assert read_json(RATES)["lora"]["none"] == 1e-3
    out = capsys.readouterr().out
    assert "[32/32]" in out and "4 left" in out and "[4/4]" in out and out.count("none left") == 1


def test_what_is_finished_is_not_run_again(started, capsys):
    run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    started.clear()
    run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert started == [] and "all 36 cells are finished" in capsys.readouterr().out
    os.unlink(CELLS / "conditions-lora-awp-1.json")
    run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert started == ["conditions@lora-awp-1"]


def change(stage: str, **values) -> None:
    path = Path(f"ready/{stage}.json")
    write_json(path, read_json(path) | values)


def add(stage: str, like: str, **values) -> None:
    write_json(Path(f"ready/{stage}.json"), read_json(f"ready/{like}.json") | {"cell": stage.replace("@", "-", 1)} | values)


def test_a_grid_whose_best_rate_is_at_its_edge_is_extended_and_the_study_goes_on(started, capsys):
    change("rates_lora@none-0.0005-101", validation_f1=0.95)
    for condition, score in {"none": 0.7, "both": 0.6}.items():
        add(f"rates_lora@{condition}-0.00025-101", "rates_lora@none-0.0005-101", validation_f1=score, learning_rate=2.5e-4)
    run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert sorted(started[32:34]) == ["rates_lora@both-0.00025-101", "rates_lora@none-0.00025-101"]
    assert sorted(started[34:]) == [f"conditions@lora-{condition}-1" for condition in ("awp", "both", "mixout", "none")]
    assert read_json(RATES)["lora"] == {"none": 5e-4, "mixout": 5e-4, "awp": 1e-3, "both": 1e-3}
    out = capsys.readouterr().out
    assert "inside the grid; added:" in out and "for none, 0.0005 is best and the smallest" in out and "add 0.00025" in out


def test_where_the_edge_stays_the_best_the_other_cells_run_and_the_end_says_what_is_left_out(started):
    rate = 5e-4
    change(f"rates_lora@none-{rate}-101", validation_f1=0.91)
    for step in range(run.EXTENSIONS):
        rate /= 2
        for condition, score in {"none": 0.92 + 0.01 * step, "both": 0.1}.items():
            beyond = float(f"{rate:.3g}")
            add(f"rates_lora@{condition}-{beyond}-101", "rates_lora@none-0.0005-101", validation_f1=score, learning_rate=beyond)
    with pytest.raises(UserError) as ended:
        run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert len(started) == 32 + 2 * run.EXTENSIONS + 2
    assert sorted(started[-2:]) == ["conditions@lora-awp-1", "conditions@lora-both-1"]
    assert "rates.grid.lora: for none, 6.25e-05 is best and the smallest" in str(ended.value)
    assert "2 cell(s) left out, which have no learning rate: conditions-lora-none-1, conditions-lora-mixout-1" in str(ended.value)


def test_a_rate_that_cannot_be_tried_holds_up_its_own_cells_only(started):
    Path("ready/rates_lora@both-0.001-101.json").unlink()
    with pytest.raises(UserError, match=r"1 cell\(s\) failed: rates_lora-both-0\.001-101") as ended:
        run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert sorted(started[-2:]) == ["conditions@lora-mixout-1", "conditions@lora-none-1"]
    assert "2 cell(s) left out, which have no learning rate: conditions-lora-both-1, conditions-lora-awp-1" in str(ended.value)


def test_a_named_cell_runs_at_the_rates_that_there_are(started):
    run.run(load_study(), wanted("conditions")[:1], jobs=1)
    assert started == ["conditions@lora-none-1"]
