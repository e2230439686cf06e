"""All of params.yaml, and its smaller blocks."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stages.project.schema.data import DataParams
from stages.project.schema.fields import Count, Name, Number, Revision, Section
from stages.project.schema.training import (
    AwpParams,
    MixoutParams,
    PeftParams,
    TrainParams,
    init_beside_four_bits,
    movable_weights,
)


class LocalModelParams(Section):
    path: Name


class HubModelParams(Section):
    name: Name
    revision: Revision


class ModelParams(Section):
    source: Literal["package", "local", "hub"]
    local: LocalModelParams
    hub: HubModelParams


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
    peft: Annotated[PeftParams, AfterValidator(init_beside_four_bits)]
    awp: Annotated[AwpParams, AfterValidator(movable_weights)]
    mixout: MixoutParams
    evaluate: EvaluateParams
    benchmark: BenchmarkParams
    plan: PlanParams
    report: ReportParams
