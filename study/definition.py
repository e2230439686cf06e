"""The cells of the study: what each trains, in the order in which they run."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from stages.project.errors import UserError
from stages.project.schema import (
    AwpParams,
    DataParams,
    EvaluateParams,
    LearningRates,
    MixoutParams,
    Params,
    PeftParams,
    Positive,
    TrainParams,
)
from study.settings import Study

METHODS = ("full", "lora", "adapter", "head")
CONDITIONS = ("none", "mixout", "awp", "both")
RATE_OF = {"none": "none", "mixout": "none", "awp": "both", "both": "both"}  # whose learning rate a condition takes


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        group: the stage of study/dvc.yaml whose matrix has it; the name of the cell is the group and its place there.
        series: what it is for; several groups can be one series.
        rows: how many training rows; None: all.
        split_seed: draws train, validation and test anew; None: the split of `prepare`.
        learning_rate: None if it is the one that `rates` chose for the method and `rate_condition`, times `factor`.
        rate_condition: by default the condition.
        tested: whether the test set is used, and `transfer` whether the transfer sets are too.
        plain: trained by a transformers.Trainer without this project's code.
    """

    name: str
    group: str
    series: str
    method: str
    condition: str
    seed: int
    rows: int | None
    epochs: int
    split_seed: int | None = None
    learning_rate: float | None = None
    rate_condition: str | None = None
    factor: float = 1.0
    awp: dict[str, Any] = field(default_factory=dict)
    peft: dict[str, Any] = field(default_factory=dict)
    tested: bool = False
    transfer: bool = False
    plain: bool = False

    @property
    def stage(self) -> str:
        """The name of its stage in study/dvc.yaml."""
        return f"{self.group}@{self.name.removeprefix(f'{self.group}-')}"


def cells_of(study: Study) -> dict[str, Cell]:
    """Return all cells by name in the order in which they run, the most valuable first.

    First those that choose the learning rates, which the others need; then the main table without regularizers and with both,
    seed by seed over all methods, so that a study that is cut off has whole seeds; then what supports it.
    """
    return {cell.name: cell for cell in _all_cells(study)}


def find_cell(study: Study, name: str) -> Cell:
    """Return the cell called `name`.

    Raises:
        UserError: there is none; the message names similar ones.
    """
    cells = cells_of(study)
    if name not in cells:
        group = [other for other in cells if other.partition("-")[0] == name.partition("-")[0]] or list(cells)
        raise UserError(
            f"the study has no cell {name!r}; its cells are called {', '.join(group[:4])} ..., see python -m study.cells"
        )
    return cells[name]


def _all_cells(study: Study) -> Iterator[Cell]:
    asked = study.conditions.conditions
    own_rate = [condition for condition in asked if RATE_OF[condition] == condition]
    yield from _rates(study)
    yield from _conditions(study, own_rate)
    yield from _trainer(study)
    yield from _conditions(study, [condition for condition in asked if condition not in own_rate])
    yield from _dose(study)
    yield from _rows(study)
    yield from _targets(study)
    yield from _splits(study)


def _epochs(study: Study, method: str, epochs: int) -> int:
    """The epochs of a cell whose series has `epochs`: the head alone, which learns 770 numbers, needs more to converge."""
    return epochs * (study.head.epochs_factor if method == "head" else 1)


def _rates(study: Study) -> Iterator[Cell]:
    series = study.rates
    for method in METHODS:
        for condition, rate, seed in product(series.conditions, getattr(series.grid, method), series.seeds):
            group = f"rates_{method}"
            name, size = (
                f"{group}-{condition}-{rate}-{seed}",
                (getattr(series.rows, condition), _epochs(study, method, series.epochs)),
            )
            yield Cell(name, group, "rates", method, condition, seed, *size, learning_rate=rate)


def _conditions(study: Study, conditions: Iterable[str]) -> Iterator[Cell]:
    series = study.conditions
    for seed, condition, method in product(series.seeds, conditions, series.methods):
        name, transfer = f"conditions-{method}-{condition}-{seed}", condition in series.transfer
        size = series.rows, _epochs(study, method, series.epochs)
        yield Cell(name, "conditions", "conditions", method, condition, seed, *size, tested=True, transfer=transfer)


def _trainer(study: Study) -> Iterator[Cell]:
    size = study.conditions.rows, study.conditions.epochs
    for seed in study.trainer.seeds:
        yield Cell(f"trainer-{seed}", "trainer", "crosscheck", "full", "none", seed, *size, tested=True, plain=True)


def _splits(study: Study) -> Iterator[Cell]:
    series = study.splits
    for split_seed, condition, method in product(series.split_seeds, series.conditions, series.methods):
        yield Cell(
            f"splits-{method}-{condition}-{split_seed}", "splits", "splits", method, condition, series.seed, series.rows,
            series.epochs, split_seed, tested=True, transfer=series.transfer,
        )  # fmt: skip


def _rows(study: Study) -> Iterator[Cell]:
    series, batch_size = study.rows, study.settings.train["batch_size"]
    for seed, rows, method in product(series.seeds, series.sizes, series.methods):
        epochs = max(series.epochs, math.ceil(series.least_steps / max(rows // batch_size, 1)))
        epochs = _epochs(study, method, epochs)
        name = f"rows-{method}-{rows}-{seed}"
        yield Cell(name, "rows", "rows", method, "none", seed, rows, epochs, tested=True, transfer=series.transfer)


def _dose(study: Study) -> Iterator[Cell]:
    series, size = study.dose, (study.dose.rows, study.dose.epochs)
    for seed in series.seeds:
        for method in series.methods:  # without a dose, at the same rate as with one
            yield Cell(f"dose_without-{method}-{seed}", "dose_without", "dose", method, "none", seed, *size, rate_condition="awp")
        for target, methods in (("trainable", series.methods), ("all", series.peft_methods)):
            for epsilon, method in product(series.epsilons, methods):
                group, moved = f"dose_{target}", {"epsilon": epsilon, "target": target}
                yield Cell(f"{group}-{method}-{epsilon}-{seed}", group, "dose", method, "awp", seed, *size, awp=moved)
        for variant in series.variants:
            moved = {"box": series.box} if variant == "box" else {"embeddings": variant}
            yield Cell(f"dose_variant-{variant}-{seed}", "dose_variant", "dose", "full", "awp", seed, *size, awp=moved)


def _targets(study: Study) -> Iterator[Cell]:
    series = study.targets
    for seed, factor, target in product(series.seeds, series.factors, series.targets):
        rank = getattr(series.ranks, target)
        yield Cell(
            f"targets-{target}-{factor}-{seed}", "targets", "targets", "lora", "none", seed, series.rows, series.epochs,
            factor=factor, peft={"target": target, "rank": rank, "alpha": 2 * rank},
        )  # fmt: skip


class _Rates(LearningRates):
    head: Positive


def params_of(cell: Cell, study: Study, learning_rate: float) -> Params:
    """Return the project's parameters for `cell`.

    Sections that no training reads (where data and encoder came from, benchmark, plan, report) do not exist in it: code that
    read them would end in an AttributeError, and not depend on something that study/params.yaml does not say.
    """
    settings = study.settings
    rates = dict.fromkeys(METHODS, learning_rate)
    # patience: all epochs, so that every cell has the steps of its series
    train = {**settings.train, "epochs": cell.epochs, "patience": cell.epochs, "learning_rate": _first_three(rates)}
    awp = {**settings.awp, "enabled": cell.condition in ("awp", "both"), **cell.awp}
    mixout = {**settings.mixout, "enabled": cell.condition in ("mixout", "both")}
    # the head alone has no encoder to make faster
    checked = TrainParams.model_validate({**train, **({"acceleration": False} if cell.method == "head" else {})})
    return Params.model_construct(
        seed=cell.seed,
        data=DataParams.model_construct(**settings.data.model_dump()),
        train=checked.model_copy(update={"learning_rate": _Rates.model_validate(rates)}),
        peft=PeftParams.model_validate({**settings.peft.model_dump(), **cell.peft}),
        awp=AwpParams.model_validate(awp),
        mixout=MixoutParams.model_validate(mixout),
        evaluate=EvaluateParams.model_construct(**settings.evaluate),
    )


def _first_three(rates: dict[str, float]) -> dict[str, float]:
    return {name: rate for name, rate in rates.items() if name in LearningRates.model_fields}
