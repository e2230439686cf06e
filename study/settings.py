"""What study/params.yaml may contain."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from stages.project.errors import UserError
from stages.project.schema import (
    AwpParams,
    Count,
    EvaluateParams,
    MixoutParams,
    Number,
    PeftParams,
    Positive,
    Section,
    TrainParams,
)

PARAMS = Path("study/params.yaml")
Method = Literal["full", "lora", "adapter", "head"]
Condition = Literal["none", "mixout", "awp", "both"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[list[Seed], Field(min_length=1)]
Grid = Annotated[list[Positive], Field(min_length=4)]


class DataSettings(Section):
    """The part of `data` that cells read."""

    max_length: Annotated[int, Field(ge=3, le=8192)]
    train_fraction: Annotated[Number, Field(gt=0, lt=1)]
    validation_fraction: Annotated[Number, Field(gt=0, lt=1)]
    test_fraction: Annotated[Number, Field(gt=0, lt=1)]


class Settings(Section):
    """Parameters of the project that all cells share. The open sections are checked when a cell adds what its series varies."""

    seed: Seed
    data: DataSettings
    train: dict[str, Any]
    peft: PeftParams
    awp: dict[str, Any]
    mixout: dict[str, Any]
    evaluate: dict[str, Any]

    @field_validator("train", "awp", "mixout", "evaluate")
    @classmethod
    def _nothing_is_missing(cls, values: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        section, elsewhere = _OPEN[str(info.field_name)]
        wanted = set(section.model_fields) - elsewhere
        if wrong := wanted ^ set(values):
            raise ValueError(f"must have exactly the keys {', '.join(sorted(wanted))}; check {', '.join(sorted(wrong))}")
        return values


# sections that a cell completes, and the keys that come from its series
_OPEN: dict[str, tuple[type[Section], set[str]]] = {
    "train": (TrainParams, {"epochs", "patience", "learning_rate"}),
    "awp": (AwpParams, {"enabled"}),
    "mixout": (MixoutParams, {"enabled"}),
    "evaluate": (EvaluateParams, {"calibration_bins", "bootstrap_samples", "confidence"}),
}


class Conditions(Section):
    methods: list[Method]
    conditions: list[Condition]
    seeds: Seeds
    rows: Count | None
    epochs: Count
    transfer: list[Condition]


class Splits(Section):
    methods: list[Method]
    conditions: list[Condition]
    split_seeds: Seeds
    seed: Seed
    rows: Count
    epochs: Count
    transfer: bool


class Rows(Section):
    methods: list[Method]
    sizes: list[Count]
    seeds: Seeds
    epochs: Count
    least_steps: Count
    transfer: bool


class Grids(Section):
    full: Grid
    lora: Grid
    adapter: Grid
    head: Grid


class RatesRows(Section):
    none: Count | None
    both: Count | None


class Rates(Section):
    conditions: list[Literal["none", "both"]]
    seeds: Seeds
    rows: RatesRows
    epochs: Count
    grid: Grids


class Dose(Section):
    methods: list[Method]
    peft_methods: list[Method]
    epsilons: list[Positive]
    variants: list[Literal["rows", "exclude", "box"]]
    box: Positive
    seeds: Seeds
    rows: Count
    epochs: Count


class Ranks(Section):
    attention: Count
    feed_forward: Count
    all: Count


class Targets(Section):
    ranks: Ranks
    targets: list[Literal["attention", "feed_forward", "all"]]
    factors: list[Positive]
    seeds: Seeds
    rows: Count
    epochs: Count


class Head(Section):
    epochs_factor: Count


class TrainerCheck(Section):
    seeds: Seeds


class Conclusions(Section):
    margin: Annotated[Number, Field(gt=0, lt=1)]
    confidence: Annotated[Number, Field(gt=0.5, lt=1)]
    bootstrap_samples: Annotated[int, Field(ge=1000)]


class Speeds(Section):
    full: Positive
    lora: Positive
    adapter: Positive
    head: Positive


class Budget(Section):
    """Speeds are texts per second of one cell, see params.yaml."""

    hours: Positive
    training: Speeds
    training_awp: Speeds
    plain_trainer: Positive
    prediction: Positive
    start: Positive


class Study(Section):
    """All of study/params.yaml; attribute names are its keys."""

    settings: Settings
    conditions: Conditions
    splits: Splits
    rows: Rows
    rates: Rates
    dose: Dose
    targets: Targets
    head: Head
    trainer: TrainerCheck
    study: Conclusions
    budget: Budget

    @field_validator("rates", "dose", "targets", "trainer")
    @classmethod
    def _rates_have_seeds_of_their_own(cls, section: Any, info: ValidationInfo) -> Any:
        """No rate may be chosen with a seed on which the methods are compared; a section is checked against those before it."""
        before = _COMPARED if info.field_name == "rates" else ("rates",)
        used = {seed for name in before if name in info.data for seed in _seeds(info.data[name])}
        if shared := used & _seeds(section):
            raise ValueError(f"seeds of rates must be others than those of the study, received {sorted(shared)} in both")
        return section


_COMPARED = ("conditions", "splits", "rows")  # what stands before `rates`


def _seeds(section: Any) -> set[int]:
    return set(section.seeds) if hasattr(section, "seeds") else {section.seed}


def load_study(path: Path = PARAMS) -> Study:
    """Return the checked parameters of the study.

    Raises:
        UserError: the file is missing, not valid YAML, or some values are wrong; one message lists all faults.
    """
    try:
        return Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, received {fault['input']!r}" for fault in error.errors()]
        raise UserError("\n  ".join([f"{path}: {len(faults)} fault(s)", *faults])) from None
    except (OSError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: cannot be read: {' '.join(str(error).split())}; run the command in the project's folder"
        ) from None
