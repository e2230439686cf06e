"""In which order the cells run; processes that copy a file stand for cells, and files for DVC's record of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
    content = yaml.safe_load((ROOT / "study/params.yaml").read_text())
    for series in ("conditions", "rows"):
        content[series] |= {"seeds": [1], "methods": ["lora"]}
    (tmp_path / "study/params.yaml").write_text(yaml.safe_dump(content))
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


def test_a_rate_at_the_edge_stops_the_study_before_the_cells_that_would_take_it(started):
    for path in (p for p in os.listdir("ready") if p.startswith("rates_full@none-2e-05")):
        write_json(Path("ready", path), read_json(f"ready/{path}") | {"validation_f1": 0.99})
    with pytest.raises(UserError, match=r"rates\.grid\.full: for none, 2e-05 is best and the smallest"):
        run.run(load_study(), wanted("rates", "conditions"), jobs=4)
    assert not [stage for stage in started if stage.startswith("conditions")]


def test_a_named_cell_runs_at_the_rates_that_there_are(started):
    run.run(load_study(), wanted("conditions")[:1], jobs=1)
    assert started == ["conditions@lora-none-1"]
