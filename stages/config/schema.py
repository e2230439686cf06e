"""What params.yaml may hold: every key, its type, its range, and which values contradict each other."""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

METHODS = ("full", "lora", "adapter")


def _number_from_text(value):
    """Turn a numeric string into a float.

    DVC writes `-S train.learning_rate.full=5e-5` back as `5e-05`, which YAML 1.1 reads as a string.
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def fractions_fill_the_data(train: float, validation: float, test: float) -> str | None:
    total = train + validation + test
    if abs(total - 1) > 1e-6:
        return f"train_fraction + validation_fraction + test_fraction must be 1, received {total:g}"
    return None


def micro_batches_fill_the_batch(batch_size: float, micro_batch_size: float) -> str | None:
    if batch_size % micro_batch_size:
        received = f"received batch_size {batch_size:g} and micro_batch_size {micro_batch_size:g}"
        return f"batch_size must be a multiple of micro_batch_size, {received}"
    return None


def window_runs_forward(start: float, end: float) -> str | None:
    if start >= end:
        return f"window_start must lie before window_end, received window_start {start:g} and window_end {end:g}"
    return None


class Section(BaseModel):
    """A block of params.yaml: no unknown keys, no silent conversions, not changed after loading.

    `contradictions` names fields that must go together and a function of their values that returns what is wrong, or None.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    contradictions: ClassVar[dict[tuple[str, ...], Callable[..., str | None]]] = {}

    @model_validator(mode="after")
    def _is_free_of_contradictions(self):
        for fields, contradiction in self.contradictions.items():
            if fault := contradiction(*(getattr(self, field) for field in fields)):
                raise ValueError(fault)
        return self


class CsvParams(Section):
    path: Annotated[str, Field(min_length=1)]
    text_column: Annotated[str, Field(min_length=1)]
    label_column: Annotated[str, Field(min_length=1)]


class DataParams(Section):
    source: Literal["package", "csv"]
    limit: Annotated[int, Field(ge=0)]
    max_length: Annotated[int, Field(ge=3, le=8192)]
    neutral_margin: Annotated[Number, Field(ge=0, lt=4)]
    train_fraction: Annotated[Number, Field(gt=0, lt=1)]
    validation_fraction: Annotated[Number, Field(gt=0, lt=1)]
    test_fraction: Annotated[Number, Field(gt=0, lt=1)]
    csv: CsvParams

    contradictions = {("train_fraction", "validation_fraction", "test_fraction"): fractions_fill_the_data}


class LocalModelParams(Section):
    path: Annotated[str, Field(min_length=1)]


class ModelParams(Section):
    source: Literal["package", "local"]
    local: LocalModelParams


class LearningRates(Section):
    full: Positive
    lora: Positive
    adapter: Positive


class TrainParams(Section):
    batch_size: Count
    micro_batch_size: Count
    epochs: Count
    patience: Count
    learning_rate: LearningRates
    warmup_fraction: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: Annotated[Number, Field(ge=0)]
    max_grad_norm: Positive
    eval_batch_size: Count

    contradictions = {("batch_size", "micro_batch_size"): micro_batches_fill_the_batch}

    @property
    def accumulation_steps(self) -> int:
        return self.batch_size // self.micro_batch_size


class PeftParams(Section):
    rank: Count
    alpha: Positive
    dropout: Annotated[Number, Field(ge=0, lt=1)]
    bottleneck: Count


class AwpParams(Section):
    enabled: bool
    epsilon: Positive
    window_start: Fraction
    window_end: Fraction

    contradictions = {("window_start", "window_end"): window_runs_forward}


class MixoutParams(Section):
    enabled: bool
    p: Annotated[Number, Field(ge=0, lt=1)]


class EvaluateParams(Section):
    batch_size: Count
    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence: Annotated[Number, Field(gt=0, lt=1)]


class BenchmarkParams(Section):
    batch_sizes: Annotated[list[Count], Field(min_length=1)]
    lengths: Annotated[list[Annotated[int, Field(ge=3)]], Field(min_length=1)]
    repeats: Count
    warmup: Annotated[int, Field(ge=0)]


class ReportParams(Section):
    method: Literal["full", "lora", "adapter"]


class Params(Section):
    """The whole of params.yaml; attribute names are its keys."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: DataParams
    model: ModelParams
    train: TrainParams
    peft: PeftParams
    awp: AwpParams
    mixout: MixoutParams
    evaluate: EvaluateParams
    benchmark: BenchmarkParams
    report: ReportParams
