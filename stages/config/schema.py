"""What params.yaml may hold: every key, its type, its range, and which values contradict each other."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

METHODS = ("full", "lora", "adapter")


def number_from_text(value):
    """Turn a numeric string into a float.

    DVC writes `-S train.learning_rate.full=5e-5` back as `5e-05`, which YAML 1.1 reads as a string.
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _count_or_auto(value):
    if value != "auto" and (type(value) is not int or value < 1):
        raise ValueError(f"must be a whole number of 1 or more, or auto, received {value!r}")
    return value


Number = Annotated[float, BeforeValidator(number_from_text), Field(allow_inf_nan=False)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # a commit; a branch or a tag can move
CountOrAuto = Annotated[Any, AfterValidator(_count_or_auto)]
LAUNCHER = r"^(python|torchrun( \S+)*|accelerate launch( \S+)*)$"


def fractions_fill_the_data(train: float, validation: float, test: float) -> str | None:
    total = train + validation + test
    if abs(total - 1) > 1e-6:
        return f"train_fraction + validation_fraction + test_fraction must be 1, received {total:g}"
    return None


def micro_batches_fill_the_batch(batch_size: float, micro_batch_size: float | str) -> str | None:
    if micro_batch_size != "auto" and batch_size % micro_batch_size:
        received = f"received batch_size {batch_size:g} and micro_batch_size {micro_batch_size:g}"
        return f"batch_size must be a multiple of micro_batch_size, {received}"
    return None


def columns_differ(*columns: str | None) -> str | None:
    given = [column for column in columns if column is not None]
    if len(set(given)) < len(given):
        return f"every column can serve one purpose only, received {', '.join(map(repr, given))}"
    return None


def hub_data_is_pinned(source: str, hub) -> str | None:
    revision = hub["revision"] if isinstance(hub, dict) else hub.revision
    if source == "hub" and revision is None:
        name = hub["name"] if isinstance(hub, dict) else hub.name
        return (
            "source hub needs hub.revision, the commit (40 hexadecimal digits) to be fetched, received null; "
            f"git ls-remote https://huggingface.co/datasets/{name} refs/heads/main shows the newest"
        )
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
    path: Name
    text_column: Name
    label_column: Name
    split_column: Name | None

    contradictions = {("text_column", "label_column", "split_column"): columns_differ}


class HubDataParams(Section):
    name: Name
    config: Name | None
    revision: Revision | None
    split: Name
    validation_split: Name | None
    test_split: Name | None
    text_column: Name
    label_column: Name

    contradictions = {("text_column", "label_column"): columns_differ}


class DataParams(Section):
    source: Literal["package", "csv", "hub"]
    limit: Annotated[int, Field(ge=0)]
    max_length: Annotated[int, Field(ge=3, le=8192)]
    neutral_margin: Annotated[Number, Field(ge=0, lt=4)]
    train_fraction: Annotated[Number, Field(gt=0, lt=1)]
    validation_fraction: Annotated[Number, Field(gt=0, lt=1)]
    test_fraction: Annotated[Number, Field(gt=0, lt=1)]
    csv: CsvParams
    hub: HubDataParams

    contradictions = {
        ("train_fraction", "validation_fraction", "test_fraction"): fractions_fill_the_data,
        ("source", "hub"): hub_data_is_pinned,
    }


class LocalModelParams(Section):
    path: Name


class HubModelParams(Section):
    name: Name
    revision: Revision


class ModelParams(Section):
    source: Literal["package", "local", "hub"]
    local: LocalModelParams
    hub: HubModelParams


class LearningRates(Section):
    full: Positive
    lora: Positive
    adapter: Positive


class TrainParams(Section):
    launcher: Annotated[str, Field(pattern=LAUNCHER)]
    batch_size: Count
    micro_batch_size: CountOrAuto
    memory_budget_gib: Positive
    gradient_checkpointing: bool
    class_weights: Literal["none", "balanced"]
    epochs: Count
    patience: Count
    learning_rate: LearningRates
    warmup_fraction: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: Annotated[Number, Field(ge=0)]
    max_grad_norm: Positive
    eval_batch_size: Count

    contradictions = {("batch_size", "micro_batch_size"): micro_batches_fill_the_batch}


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


class PlanParams(Section):
    models: list[Literal["DistilBERT", "BERT-base", "RoBERTa-large"]]


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
    plan: PlanParams
    report: ReportParams
