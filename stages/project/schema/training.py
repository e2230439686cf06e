"""What the blocks of params.yaml that train a method may contain: `train`, `peft`, `awp` and `mixout`."""

import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from stages.project.schema.fields import Count, CountOrAuto, Fraction, Number, Positive, Section

LAUNCHER = r"^(python|torchrun( \S+)*|accelerate launch( \S+)*|srun( \S+)*)$"
DECOMPOSED = ("pissa", "olora")  # values of peft.init that take LoRA's A and B from the frozen weight, and subtract them from it


def _command(value: str) -> str:
    """Return `value` if it can be cut into words as a shell does, else raise a `ValueError`."""
    try:
        shlex.split(value)
    except ValueError as error:  # a quote that is not closed
        raise ValueError(f"must be a command with its options ({error}), received {value!r}") from None
    return value


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


def init_beside_four_bits(peft: PeftParams, info: ValidationInfo) -> PeftParams:
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


def movable_weights(awp: AwpParams, info: ValidationInfo) -> AwpParams:
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
