"""What params.yaml may contain: every key, its type, its range, and which values contradict each other."""

import shlex
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

METHODS = ("full", "lora", "adapter")
DECOMPOSED = ("pissa", "olora")  # values of peft.init that take LoRA's A and B from the frozen weight, and subtract them from it


def _number_from_text(value: Any) -> Any:
    """Turn a numeric string into a float, and return any other value as it is.

    DVC writes `-S train.learning_rate.full=5e-5` back as `5e-05`, which YAML 1.1 reads as a string.
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _count_or_auto(value: Any) -> int | str:
    if value != "auto" and (type(value) is not int or value < 1):
        raise ValueError(f"must be an integer of 1 or more, or auto, received {value!r}")
    return value


def _command(value: str) -> str:
    """Return `value` if it can be cut into words as a shell does, else raise a `ValueError`."""
    try:
        shlex.split(value)
    except ValueError as error:  # a quote that is not closed
        raise ValueError(f"must be a command with its options ({error}), received {value!r}") from None
    return value


Number = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]  # a commit; a branch or a tag can move
CountOrAuto = Annotated[Any, BeforeValidator(_count_or_auto)]
LAUNCHER = r"^(python|torchrun( \S+)*|accelerate launch( \S+)*|srun( \S+)*)$"


class Section(BaseModel):
    """A block of params.yaml: no unknown keys, no silent conversions, frozen after loading.

    Values that must fit together are compared by a validator of the last of them. pydantic runs it even if other fields of
    the block are wrong, so one message can list every fault; a field that is itself invalid is missing from `info.data`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _columns_differ(value: str | None, info: ValidationInfo) -> str | None:
    """Check that each column serves one purpose; columns are the fields of the block whose names end in `_column`."""
    given = [
        column for name, column in [*info.data.items(), (info.field_name, value)] if str(name).endswith("_column") and column
    ]
    if len(set(given)) < len(given):
        raise ValueError(f"each column can serve one purpose only, received {', '.join(map(repr, given))}")
    return value


def _named_with_train(value: str | None, info: ValidationInfo) -> str | None:
    """Check that the file for training has a name too, if those of other splits have."""
    if value is not None and info.data.get("train_file", "") is None:
        raise ValueError(f"received {value!r} without train_file, the file for training; give train_file too, or null for both")
    return value


def text_encoding(value: str) -> str:
    """Return `value` if it is auto or the name of an encoding of text, else raise a `ValueError`."""
    try:
        if value != "auto":
            "text".encode(value)
    except (LookupError, UnicodeError):
        raise ValueError(
            f"must be auto, utf-8, cp1252, latin-1, utf-16 or another text encoding of Python, received {value!r}"
        ) from None
    return value


class CsvParams(Section):
    path: Name
    train_file: Name | None
    validation_file: Annotated[Name | None, AfterValidator(_named_with_train)]
    test_file: Annotated[Name | None, AfterValidator(_named_with_train)]
    text_column: Name
    label_column: Name
    split_column: Annotated[Name | None, AfterValidator(_columns_differ)]
    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe", ",", ";", "\t", "|"]
    quotes: Literal["double", "none"]
    encoding: Annotated[Name, AfterValidator(text_encoding)]
    missing: Literal["error", "drop"]


class HubDataParams(Section):
    name: Name
    config: Name | None
    revision: Revision | None
    split: Name
    validation_split: Name | None
    test_split: Name | None
    text_column: Name
    label_column: Annotated[Name, AfterValidator(_columns_differ)]


class DataParams(Section):
    source: Literal["package", "csv", "hub"]
    limit: Annotated[int, Field(ge=0)]
    rare_classes: Literal["error", "drop", "merge"]
    rare_class_min: Annotated[int, Field(ge=0)]
    max_length: Annotated[int, Field(ge=3, le=8192)]
    neutral_margin: Annotated[Number, Field(ge=0, lt=4)]
    train_fraction: Annotated[Number, Field(gt=0, lt=1)]
    validation_fraction: Annotated[Number, Field(gt=0, lt=1)]
    test_fraction: Annotated[Number, Field(gt=0, lt=1)]
    csv: CsvParams
    hub: HubDataParams

    @field_validator("test_fraction")
    @classmethod
    def _fractions_add_up(cls, test: float, info: ValidationInfo) -> float:
        train, validation = info.data.get("train_fraction"), info.data.get("validation_fraction")
        if train is not None and validation is not None and abs(train + validation + test - 1) > 1e-6:
            total = train + validation + test
            raise ValueError(f"train_fraction + validation_fraction + test_fraction must be 1, received {total:g}")
        return test

    @field_validator("hub")
    @classmethod
    def _hub_data_is_pinned(cls, hub: HubDataParams, info: ValidationInfo) -> HubDataParams:
        if info.data.get("source") == "hub" and hub.revision is None:
            raise ValueError(
                "source hub needs hub.revision, the commit (40 hexadecimal digits) to fetch, received null; "
                f"git ls-remote https://huggingface.co/datasets/{hub.name} refs/heads/main shows the newest"
            )
        return hub


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
    launcher: Annotated[str, Field(pattern=LAUNCHER), AfterValidator(_command)]
    batch_size: Count
    micro_batch_size: CountOrAuto
    memory_budget_gib: Positive
    gradient_checkpointing: bool
    acceleration: bool
    precision: Literal["fp32", "bf16", "fp16"]
    frozen_dtype: Literal["same", "bf16", "fp16", "nf4"]
    class_weights: Literal["none", "balanced"]
    epochs: Count
    patience: Count
    learning_rate: LearningRates
    warmup_fraction: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: Annotated[Number, Field(ge=0)]
    max_grad_norm: Positive
    eval_batch_size: Count

    @field_validator("micro_batch_size")
    @classmethod
    def _micro_batches_fill_the_batch(cls, micro: int | str, info: ValidationInfo) -> int | str:
        batch_size = info.data.get("batch_size")
        if isinstance(micro, int) and batch_size is not None and batch_size % micro:
            received = f"received batch_size {batch_size} and micro_batch_size {micro}"
            raise ValueError(f"batch_size must be a multiple of micro_batch_size, {received}")
        return micro


class PeftParams(Section):
    rank: Count
    alpha: Positive
    dropout: Annotated[Number, Field(ge=0, lt=1)]
    target: Literal["attention", "feed_forward", "all"]
    use_rslora: bool
    use_dora: bool
    init: Literal["default", "gaussian", "orthogonal", "pissa", "olora"]
    adapter: Literal["pfeiffer", "houlsby", "parallel"]
    bottleneck: Count
    scaling: Positive

    @field_validator("init")
    @classmethod
    def _orthogonal_halves_the_rank(cls, init: str, info: ValidationInfo) -> str:
        rank = info.data.get("rank")
        if init == "orthogonal" and rank is not None and rank % 2:
            raise ValueError(f"orthogonal needs an even rank, received rank {rank}; change peft.rank or peft.init")
        return init


def _init_beside_four_bits(peft: PeftParams, info: ValidationInfo) -> PeftParams:
    """Check that LoRA can start as `peft.init` says beside quantized weights.

    What is left of weights that it changes would be rounded to 4 bits anew, and PEFT gives the orthogonal A and B the type of
    the frozen weights, which is then that of codes.
    """
    train = info.data.get("train")
    if train is None or train.frozen_dtype != "nf4":
        return peft
    if peft.init == "orthogonal":
        raise ValueError(
            "init orthogonal is not possible beside 4-bit weights, whose type PEFT would give A and B, received it with "
            "frozen_dtype nf4; set peft.init to default or gaussian, or train.frozen_dtype to same or bf16"
        )
    if peft.init in DECOMPOSED:
        raise ValueError(
            f"init {peft.init} changes the frozen weights, which frozen_dtype nf4 would round again, "
            "received both; set peft.init to default, or train.frozen_dtype to same or bf16"
        )
    return peft


class AwpParams(Section):
    enabled: bool
    epsilon: Positive
    target: Literal["trainable", "all"]
    embeddings: Literal["tensor", "rows", "exclude"]
    box: Positive | None
    step: Positive
    window_start: Fraction
    window_end: Fraction

    @field_validator("window_end")
    @classmethod
    def _window_runs_forward(cls, end: float, info: ValidationInfo) -> float:
        start = info.data.get("window_start")
        if start is not None and start >= end:
            raise ValueError(f"window_start must be less than window_end, received window_start {start:g} and window_end {end:g}")
        return end


def _movable_weights(awp: AwpParams, info: ValidationInfo) -> AwpParams:
    """Check that weights which AWP is to move are not codes of 4 bits, which have no gradient."""
    train = info.data.get("train")
    if train is not None and train.frozen_dtype == "nf4" and awp.enabled and awp.target == "all":
        raise ValueError(
            "target all moves the frozen weights too, and in frozen_dtype nf4 they are 4-bit codes, which have no gradient and "
            "cannot move by a percent, received both; set awp.target to trainable, or train.frozen_dtype to same or bf16"
        )
    return awp


class MixoutParams(Section):
    enabled: bool
    p: Annotated[Number, Field(ge=0, lt=1)]


class EvaluateParams(Section):
    batch_size: Count
    precision: Literal["fp32", "bf16", "fp16"]
    calibration_bins: Annotated[int, Field(ge=2)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence: Annotated[Number, Field(gt=0, lt=1)]


class BenchmarkParams(Section):
    repeats: Count
    warmup: Annotated[int, Field(ge=0)]
    batch_sizes: Annotated[list[Count], Field(min_length=1)]
    lengths: Annotated[list[Annotated[int, Field(ge=3)]], Field(min_length=1)]


class PlanParams(Section):
    models: list[Literal["DistilBERT", "BERT-base", "RoBERTa-large"]]


class ReportParams(Section):
    method: Literal["full", "lora", "adapter"]


class Params(Section):
    """All of params.yaml; attribute names are its keys."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: DataParams
    model: ModelParams
    train: TrainParams
    peft: Annotated[PeftParams, AfterValidator(_init_beside_four_bits)]
    awp: Annotated[AwpParams, AfterValidator(_movable_weights)]
    mixout: MixoutParams
    evaluate: EvaluateParams
    benchmark: BenchmarkParams
    plan: PlanParams
    report: ReportParams
