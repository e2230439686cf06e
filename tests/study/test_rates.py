"""Which learning rate is chosen from the cells that tried some."""

import pytest

from stages.project.errors import UserError
from stages.project.files import write_json
from study.definition import cells_of, find_cell
from study.paths import CELLS, RATES
from study.rates import choose_rates, main
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
    chosen = choose_rates(study)
    assert chosen["full"] == {"none": 1e-4, "mixout": 1e-4, "awp": 5e-5, "both": 5e-5}
    assert chosen["lora"] == {"none": 1e-3, "mixout": 1e-3, "awp": 2e-3, "both": 2e-3}


def test_of_equal_scores_the_lower_loss_decides(study):
    write_rates(study, BEST, f1=0.335)
    assert choose_rates(study)["full"]["none"] == 1e-4


def test_a_rate_at_the_edge_of_its_grid_is_refused_with_what_to_add(study):
    write_rates(study, BEST | {("full", "none"): 2e-4, ("lora", "both"): 5e-4})
    with pytest.raises(UserError) as refused:
        choose_rates(study)
    message = str(refused.value)
    assert "rates.grid.full: for none, 0.0002 is best and the largest" in message and "add a larger one" in message
    assert "rates.grid.lora: for both, 0.0005 is best and the smallest" in message and "add a smaller one" in message
    assert "adapter" not in message and "0.0001: 0.79" in message
    assert not RATES.exists()


def test_a_missing_cell_is_named(study):
    write_rates(study, BEST)
    (CELLS / "rates_lora-both-0.001-101.json").unlink()
    with pytest.raises(UserError, match=r"rates_lora-both-0\.001-101\.json: the cell is not finished"):
        choose_rates(study)


def test_a_cell_trains_at_the_chosen_rate_times_its_factor(study, monkeypatch):
    monkeypatch.setattr("study.rates.load_study", lambda: study)
    with pytest.raises(UserError, match=r"no learning rate of lora, none"):
        learning_rate_of(find_cell(study, "targets-all-2.0-101"))
    write_rates(study, BEST)
    main()
    assert learning_rate_of(find_cell(study, "targets-all-2.0-101")) == 2e-3
    assert (
        learning_rate_of(find_cell(study, "dose_without-full-1"))
        == learning_rate_of(find_cell(study, "dose_variant-box-1"))
        == 5e-5
    )
    assert learning_rate_of(find_cell(study, "conditions-full-none-1")) == 1e-4
    assert learning_rate_of(find_cell(study, "rates_full-none-0.0002-101")) == 2e-4
