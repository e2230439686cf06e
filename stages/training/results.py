"""What a finished training writes: model, learning curve, metrics and provenance."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import confusion_matrix
from transformers import PreTrainedTokenizerBase

from peft_extras.awp import PerturbationLog
from stages.classifier.confusions import most_confused
from stages.classifier.counting import ParameterCounts
from stages.classifier.inference import predict_logits
from stages.classifier.low_precision import LOW
from stages.classifier.saving import save_checkpoint
from stages.classifier.splits import column, load_split
from stages.project.files import write_json
from stages.project.paths import LEARNING_CURVES, MODELS, TRAINING_METRICS
from stages.project.provenance import Provenance, write_provenance
from stages.project.schema import Params
from stages.training.arithmetic import Arithmetic
from stages.training.early_stopping import EarlyStopping
from stages.training.history import History
from stages.training.trainer import FineTuningTrainer

_WIDEST = 120  # columns of a terminal


@dataclass(frozen=True)
class Run:
    """A finished training; the model of `trainer` has the best epoch's weights."""

    trainer: FineTuningTrainer
    history: History
    stopping: EarlyStopping
    counts: ParameterCounts
    mixout_layers: int
    arithmetic: Arithmetic


def write_results(
    name: str, params: Params, labels: list[str], tokenizer: PreTrainedTokenizerBase, run: Run, record: Provenance
) -> None:
    """Print how the best epoch does on validation, and write model, learning curve, metrics and provenance."""
    print(f"best epoch: {run.stopping.best_epoch}, validation macro F1 {run.stopping.best_value:.4f}")
    print(validation_confusion(run.trainer, labels))
    save_checkpoint(run.trainer.model, tokenizer, MODELS / name, params.data.max_length)
    run.history.write(LEARNING_CURVES / f"{name}.csv")
    write_json(TRAINING_METRICS / f"{name}.json", training_summary(run))
    write_provenance(f"train_{name}", record, [MODELS / name])
    if said := run.arithmetic.sentence(LOW.get(params.train.precision, torch.float32)):
        print(said, flush=True)


def validation_confusion(trainer: FineTuningTrainer, labels: list[str]) -> str:
    """The confusion matrix on validation as text, see `confusion_text`."""
    dataset = load_split("validation")
    logits = predict_logits(trainer.model, dataset, trainer.data_collator, trainer.args.eval_batch_size)
    matrix = confusion_matrix(column(dataset, "label"), logits.argmax(axis=1), labels=np.arange(len(labels)))
    return confusion_text(matrix, labels)


def confusion_text(matrix: np.ndarray, labels: list[str]) -> str:
    """A row per true class, a column per predicted class; where that is too wide for a terminal, the most confused pairs."""
    names = [" ".join(label.split()) for label in labels]  # a label can have a line break
    table = pd.DataFrame(matrix, index=[f"true {name}" for name in names], columns=names).to_string()
    if len(table.partition("\n")[0]) <= _WIDEST:
        return f"confusion matrix on validation (columns: predicted)\n{table}"
    lines = [
        f"{pair.texts:>6} of {matrix[pair.actual].sum()}: true {names[pair.actual]}, predicted {names[pair.predicted]}"
        for pair in most_confused(matrix)
    ]
    return "\n".join([f"most confused on validation, {matrix.trace()} of {matrix.sum()} are right", *lines])


def training_summary(run: Run) -> dict[str, float]:
    """The course of the training as flat numbers, without timings, which would differ from run to run."""
    counts, log = run.counts, run.trainer.awp.log if run.trainer.awp else PerturbationLog()
    return {
        "epochs_trained": len(run.history.rows),
        "best_epoch": run.stopping.best_epoch,
        "best_validation_f1": round(run.stopping.best_value, 6),
        "optimizer_steps": run.history.rows[-1].step,
        "micro_batch_size": run.trainer.args.per_device_train_batch_size,
        "accumulation_steps": run.trainer.args.gradient_accumulation_steps,
        "processes": run.trainer.args.world_size,
        "learning_rate": run.trainer.args.learning_rate,
        "trainable_parameters": counts.trainable,
        "trainable_body_parameters": counts.trainable_body,
        "trainable_head_parameters": counts.trainable_head,
        "total_parameters": counts.total,
        "trainable_percent": round(counts.trainable_percent, 6),
        "mixout_layers": run.mixout_layers,
        "awp_steps": log.steps,
        "awp_relative_step_mean": round(log.ratio_mean, 9),
        "awp_relative_step_max": round(log.ratio_max, 9),
        "awp_unmoved_share": round(log.unmoved_share, 9),
        "awp_skipped": log.skipped,
    }
