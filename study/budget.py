"""How long the cells take: predicted from measured speeds, and corrected by the cells that were timed on this machine."""

import re
from collections.abc import Iterable

from stages.project.files import read_json
from stages.project.paths import METRICS
from study.definition import Cell
from study.settings import Study
from study.timing import machine, read_seconds

FEATURES = 100  # as fast as the encoder predicts, the head predicts from the table of its features so many times faster


def texts_in_sets() -> dict[str, int]:
    """Return the number of texts of train, validation, test and transfer, from metrics/data.json."""
    data = read_json(METRICS / "data.json")
    sizes = {name: data[f"{name}_rows"] for name in ("train", "validation", "test")}
    return sizes | {"transfer": sum(rows for key, rows in data.items() if re.fullmatch("transfer_[^_]+_rows", key))}


def seconds_of(cell: Cell, study: Study, sizes: dict[str, int]) -> float:
    """Return the predicted seconds of `cell` beside another: steps, one validation per epoch, prediction, and the start.

    With r the speed of a plain step and a that of a step with AWP (texts per second), f the share of steps in AWP's window, a
    training of E epochs on N rows takes E N ((1 - f) / r + f / a). If AWP moves every weight (`awp.target: all`), its first
    pass is that of full fine-tuning: 1 / a = 1 / r + 1 / a_full - 1 / r_full.
    """
    budget = study.budget
    rows = cell.epochs * (cell.rows or sizes["train"])
    predicted: float = cell.epochs * sizes["validation"] + cell.tested * sizes["test"] + cell.transfer * sizes["transfer"]
    if cell.method == "head":
        predicted /= FEATURES
    plain = 1 / (budget.plain_trainer if cell.plain else getattr(budget.training, cell.method))
    perturbed, share = 1 / getattr(budget.training_awp, cell.method), 0.0
    if cell.condition in ("awp", "both"):
        share = study.settings.awp["window_end"] - study.settings.awp["window_start"]
        if cell.awp.get("target") == "all":
            perturbed = plain + 1 / budget.training_awp.full - 1 / budget.training.full
    return budget.start + rows * ((1 - share) * plain + share * perturbed) + predicted / budget.prediction


def correction(cells: Iterable[Cell], study: Study, sizes: dict[str, int]) -> float:
    """Return measured over predicted seconds of the cells timed on this machine; 1 if fewer than three were."""
    here = {name: seconds for name, (seconds, where) in read_seconds().items() if where == machine()}
    timed = [cell for cell in cells if cell.name in here]
    if len(timed) < 3:
        return 1.0
    return sum(here[cell.name] for cell in timed) / sum(seconds_of(cell, study, sizes) for cell in timed)
