"""The rows of a memory plan: for each case the largest micro-batch that fits into the budget, and the memory it takes."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import PreTrainedConfig

from stages.classifier.families import family_of
from stages.classifier.quiet import quiet_libraries
from stages.memory.batching import divisors
from stages.memory.budget import RESERVE_MIB, largest_that_fits
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, MemoryPredictor, PredictedMemory
from stages.methods.registry import method_of
from stages.planning.models import unloaded_model
from stages.project.files import write_csv
from stages.project.schema import Params

SEED = 0  # of the ids in the predicted batches, whose shapes alone count


class Row(NamedTuple):
    """One case and what fits: the columns of the table.

    Attributes:
        precision, frozen_dtype: as in `train`: of the forward and backward pass, and of the frozen weights.
        peft: what sets the method's own size, such as "rank 8".
        micro_batch_size: the largest that fits, or 0 where not even one text does; the memory is then that of one text.
    """

    model: str
    method: str
    awp: bool
    gradient_checkpointing: bool
    precision: str
    frozen_dtype: str
    length: int
    micro_batch_size: int
    accumulation_steps: int
    budget_gib: float
    reserve_mib: int
    peak_mib: float
    weights_mib: float
    gradients_mib: float
    optimizer_state_mib: float
    activations_mib: float
    awp_buffer_mib: float
    peft: str


def precisions(method: str, params: Params) -> list[tuple[str, str]]:
    """Return the pairs (precision, frozen_dtype) that are planned, this run's own among them.

    They are float32, autocast beside float32 weights, and autocast beside frozen weights that are kept in the low precision
    too, which full fine-tuning does not have. The low precision is bf16, or fp16 if this run trains in it; to memory they are
    the same.
    """
    low = "fp16" if params.train.precision == "fp16" else "bf16"
    cases = [("fp32", "same"), (low, "same"), *([] if method == "full" else [(low, low)])]
    own = own_precision(method, params)
    return cases if own in cases else [*cases, own]


def own_precision(method: str, params: Params) -> tuple[str, str]:
    """Return this run's precision and frozen_dtype, same where `method` freezes nothing."""
    return params.train.precision, "same" if method == "full" else params.train.frozen_dtype


@quiet_libraries()
def plan(model: str, config: PreTrainedConfig, num_labels: int, method: str, params: Params) -> list[Row]:
    """Return the rows of one encoder and method: for each precision without and with gradient checkpointing.

    At this run's own precision also with AWP, whose copies of the trained weights are float32 at any; those of frozen weights,
    which `awp.target: all` adds, are left out. Checkpointing is left out where the family does not support it. All rows of a
    precision come from one predictor, whose optimizer state is made once.

    Args:
        model: name of the encoder in the table.
        config: of the encoder.
        num_labels: K.
    """
    family = family_of(config.model_type)
    inputs = RandomInputs(config.vocab_size, num_labels, SEED, torch.device("cpu"))
    # the longest text that the model accepts, if that is shorter
    length = min(params.data.max_length, family.longest_input(config))
    cases = precisions(method, params)
    rows = []
    for precision, frozen_dtype in cases:
        classifier = unloaded_model(config, num_labels, method_of(method), params, frozen_dtype)
        with MemoryPredictor(classifier, inputs, length, precision) as predictor:
            for checkpointing in (False, True) if family.gradient_checkpointing else (False,):
                if checkpointing:
                    predictor.recompute()
                for awp in (False, True) if (precision, frozen_dtype) == own_precision(method, params) else (False,):
                    size, memory = _largest(predictor, awp, params)
                    case = (model, method, awp, checkpointing, precision, frozen_dtype, length)
                    rows.append(_row(case, size, memory, params))
    # stable: for each precision without AWP first, and there without checkpointing
    return sorted(rows, key=lambda row: (cases.index((row.precision, row.frozen_dtype)), row.awp))


def _largest(predictor: MemoryPredictor, awp: bool, params: Params) -> tuple[int | None, PredictedMemory]:
    batch_size = params.train.batch_size

    def predict(size: int) -> PredictedMemory:
        return predictor.predict(size, accumulate=size < batch_size, awp=awp)

    return largest_that_fits(predict, divisors(batch_size), params.train.memory_budget_gib)


def _row(case: tuple, size: int | None, memory: PredictedMemory, params: Params) -> Row:
    parts = (memory.peak, memory.weights, memory.gradients, memory.optimizer_state, memory.activations, memory.awp_buffer)
    cut = (size, params.train.batch_size // size) if size else (0, 0)
    own = {"full": "", "lora": f"rank {params.peft.rank}", "adapter": f"bottleneck {params.peft.bottleneck}"}
    mib = (round(part / MIB, 1) for part in parts)
    return Row._make((*case, *cut, params.train.memory_budget_gib, RESERVE_MIB, *mib, own[case[1]]))


def write_plan(path: Path, rows: Iterable[Row]) -> None:
    """Write the table, which may have no rows."""
    write_csv(path, Row._fields, rows)
