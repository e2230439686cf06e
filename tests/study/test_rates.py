"""Which learning rate is chosen from the cells that tried some."""

from pathlib import Path

import pytest
import yaml

from stages.project.errors import UserError
from stages.project.files import write_json
from study.definition import cells_of, find_cell
from study.paths import CELLS
from study.rates import choose_rates, edges_of, extend, main
from study.rates_file import learning_rate_of
from study.settings import load_study
from tests.imports import ROOT

BEST = {("full", "none"): 1e-4, ("full", "both"): 5e-5, ("lora", "none"): 1e-3, ("lora", "both"): 2e-3}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return load_study(ROOT / "study/params.yaml")


def write_rates(study, best: dict, f1=None) -> None:
    """Cells in which F1 falls with the distance to the best rate, and differs between seeds."""
    for cell in cells_of(study).values():
        if cell.series == "rates":
            grid = getattr(study.rates.grid, cell.method)
            distance = abs(grid.index(cell.learning_rate) - grid.index(best.get((cell.method, cell.condition), grid[2])))
            score = 0.8 - 0.01 * distance + 0.004 * (cell.seed == 101) if f1 is None else f1
            row = {"learning_rate": cell.learning_rate, "validation_f1": score, "validation_loss": 0.5 + 0.01 * distance}
            write_json(CELLS / f"{cell.name}.json", row)


def test_the_rate_with_the_best_mean_is_taken_and_the_other_conditions_take_the_nearest(study):
    write_rates(study, BEST)
    chosen, faults = choose_rates(study)
    assert not faults and not edges_of(study)
    assert chosen["full"] == {"none": 1e-4, "mixout": 1e-4, "awp": 5e-5, "both": 5e-5}
    assert chosen["lora"] == {"none": 1e-3, "mixout": 1e-3, "awp": 2e-3, "both": 2e-3}


def test_of_equal_scores_the_lower_loss_decides(study):
    write_rates(study, BEST, f1=0.335)
    assert choose_rates(study)[0]["full"]["none"] == 1e-4


def test_a_rate_at_the_edge_of_its_grid_is_not_chosen_and_told_with_what_to_add(study):
    write_rates(study, BEST | {("full", "none"): 2e-4, ("lora", "both"): 5e-4})
    chosen, faults = choose_rates(study)
    assert chosen["full"] == {"awp": 5e-5, "both": 5e-5} and chosen["lora"] == {"none": 1e-3, "mixout": 1e-3}
    assert set(chosen["adapter"]) == {"none", "mixout", "awp", "both"} and len(faults) == 2
    assert "rates.grid.full: for none, 0.0002 is best and the largest" in faults[0] and "add 0.0004" in faults[0]
    assert "rates.grid.lora: for both, 0.0005 is best and the smallest" in faults[1] and "add 0.00025" in faults[1]
    assert "0.0001: 0.79" in faults[0]


def test_a_missing_cell_is_named_and_only_its_method_and_condition_have_no_rate(study):
    write_rates(study, BEST)
    (CELLS / "rates_lora-both-0.001-101.json").unlink()
    chosen, faults = choose_rates(study)
    assert set(chosen["lora"]) == {"none", "mixout"} and len(chosen["full"]) == 4
    assert len(faults) == 1 and "rates_lora-both-0.001-101.json: the cell is not finished" in faults[0]


def test_a_grid_is_extended_beyond_its_edges_in_one_line_and_nothing_else_changes(study):
    write_rates(study, BEST | {("full", "none"): 2e-4, ("full", "both"): 2e-5, ("lora", "both"): 5e-4})
    Path("study").mkdir()
    before = (ROOT / "study/params.yaml").read_text()
    Path("study/params.yaml").write_text(before)
    assert extend(edges_of(study))
    more, changed = load_study(), Path("study/params.yaml").read_text()
    assert more.rates.grid.full == [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 4e-4] and more.rates.grid.lora[0] == 2.5e-4
    assert sum(one != other for one, other in zip(before.splitlines(), changed.splitlines(), strict=True)) == 2
    assert set(cells_of(more)) - set(cells_of(study)) == {
        *(f"rates_full-{condition}-{rate}-101" for condition in ("none", "both") for rate in ("1e-05", "0.0004")),
        *(f"rates_lora-{condition}-0.00025-101" for condition in ("none", "both")),
    }
    Path("study/params.yaml").write_text(yaml.safe_dump(yaml.safe_load(before)))  # lists of several lines
    assert not extend(edges_of(study))


def test_a_cell_trains_at_the_chosen_rate_times_its_factor(study, monkeypatch):
    monkeypatch.setattr("study.rates.load_study", lambda: study)
    with pytest.raises(UserError, match=r"no learning rate of lora, none"):
        learning_rate_of(find_cell(study, "targets-all-2.0-102"))
    write_rates(study, BEST)
    main()
    assert learning_rate_of(find_cell(study, "targets-all-2.0-102")) == 2e-3
    assert (
        learning_rate_of(find_cell(study, "dose_without-full-1"))
        == learning_rate_of(find_cell(study, "dose_variant-box-1"))
        == 5e-5
    )
    assert learning_rate_of(find_cell(study, "conditions-full-none-1")) == 1e-4
    assert learning_rate_of(find_cell(study, "rates_full-none-0.0002-101")) == 2e-4
