"""The skeleton: load, build, regularize, train, keep the best epoch, show and save. The method is its only variable."""

import tempfile
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from sklearn.metrics import confusion_matrix
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from stages.acceleration.apply import accelerate_training
from stages.config import Params, load_params
from stages.files import write_json
from stages.inference import predict_logits
from stages.memory.budget import choose_batching
from stages.memory.recompute import recompute_activations
from stages.methods.counting import ParameterCounts, count_parameters, head_modules
from stages.methods.saving import save_checkpoint
from stages.paths import LEARNING_CURVES, MODELS, SAVE_POINTS, TRAINING_METRICS
from stages.processes import is_main_process, process_index
from stages.provenance import origin, write_provenance
from stages.regularization.awp import PerturbationLog
from stages.regularization.mixout import apply_mixout
from stages.scores import classification_scores
from stages.tokenized import load_labels, load_split, load_tokenizer, make_collator
from stages.training.arguments import training_arguments
from stages.training.early_stopping import EarlyStopping
from stages.training.history import History, ProgressBar
from stages.training.loss import balanced_class_weights
from stages.training.save_point import SavePoint
from stages.training.trainer import FineTuningTrainer


def train(method: ModuleType) -> None:
    """Train `method` (a module of stages.methods) and write its checkpoint, learning curve and training metrics."""
    params = load_params()
    labels, tokenizer = load_labels(), load_tokenizer()
    # before training: what is edited while it runs has no part in it
    comes_from = origin(f"train_{method.NAME}", params)
    point = SavePoint(SAVE_POINTS / f"{method.NAME}.safetensors", comes_from["inputs"])
    run = fit(method, params, labels, tokenizer, load_split("train"), point)
    if is_main_process():
        write_results(method, labels, tokenizer, run, comes_from)
        point.remove()  # only now: if writing the results failed, the next start need not train again


def write_results(method: ModuleType, labels: list[str], tokenizer, run: "Run", comes_from: dict) -> None:
    """Show how the best epoch does on validation and write what the stage leaves."""
    print(f"best epoch: {run.stopping.best_epoch}, validation macro F1 {run.stopping.best_value:.4f}")
    print(validation_confusion(run.trainer, labels))
    save_checkpoint(run.trainer.model, tokenizer, MODELS / method.NAME)
    run.history.write(LEARNING_CURVES / f"{method.NAME}.csv")
    write_json(TRAINING_METRICS / f"{method.NAME}.json", training_summary(run))
    write_provenance(f"train_{method.NAME}", comes_from, [MODELS / method.NAME])


@dataclass(frozen=True)
class Run:
    """A finished training; the model of `trainer` has the best epoch's weights."""

    trainer: FineTuningTrainer
    history: History
    stopping: EarlyStopping
    counts: ParameterCounts
    mixout_layers: int


def fit(method: ModuleType, params: Params, labels: list[str], tokenizer, rows: Dataset, point: SavePoint | None = None) -> Run:
    """Train `method` on `rows` with the learning rate that `params` has for it, from what `point` holds of it, if anything."""
    model = method.build(params, labels)
    mixout_layers = apply_mixout(model, head_modules(model), params.mixout.p) if params.mixout.enabled else 0
    accelerate_training(model)
    if params.train.gradient_checkpointing:
        recompute_activations(model)
    counts = count_parameters(model)
    print(f"{method.NAME}: {counts}; mixout on {mixout_layers} layer(s) of the head", flush=True)

    learning_rate = getattr(params.train.learning_rate, method.NAME)
    history, stopping = History(), EarlyStopping(model, params.train.patience)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_trainer(params, model, tokenizer, learning_rate, rows, scratch)
        trainer.add_callback(history)
        trainer.add_callback(stopping)
        saved = point.read() if point else None
        if point:
            trainer.make_resumable(point, history, stopping)
        if saved:
            print(f"going on from step {saved.state['trainer']['global_step']}, saved in {point.path}", flush=True)
        if process_index():
            # every process draws dropout and mixout masks of its own; the first draws those of a single process
            torch.manual_seed(params.seed + process_index())
        trainer.train_from(saved)
    stopping.restore()
    return Run(trainer, history, stopping, counts, mixout_layers)


def make_trainer(params: Params, model, tokenizer, learning_rate: float, rows: Dataset, scratch: str) -> FineTuningTrainer:
    """The Trainer with this project's validation data, metrics and AWP; early stopping is left to the caller."""
    num_classes = model.config.num_labels
    batching = choose_batching(params, model)
    balanced = params.train.class_weights == "balanced"

    def compute_metrics(prediction) -> dict[str, float]:
        return classification_scores(prediction.label_ids, np.argmax(prediction.predictions, axis=-1), num_classes)

    validation = load_split("validation")
    # longest first: the texts of one batch then differ little in length, and the metrics do not see the order
    validation = validation.select(np.argsort(-np.asarray(validation["length"]), kind="stable"), keep_in_memory=True)
    trainer = FineTuningTrainer(
        model=model,
        args=training_arguments(params, batching, learning_rate, scratch),
        train_dataset=rows,
        eval_dataset=validation,
        data_collator=make_collator(tokenizer),
        compute_metrics=compute_metrics,
        awp=params.awp,
        class_weights=balanced_class_weights(np.asarray(rows["label"]), num_classes) if balanced else None,
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback):
        trainer.add_callback(ProgressBar)
    return trainer


def validation_confusion(trainer: FineTuningTrainer, labels: list[str]) -> str:
    """The confusion matrix on validation as text: a row per true class, a column per predicted one."""
    dataset = load_split("validation")
    logits = predict_logits(trainer.model, dataset, trainer.data_collator, trainer.args.eval_batch_size)
    matrix = confusion_matrix(dataset["label"], logits.argmax(axis=1), labels=np.arange(len(labels)))
    table = pd.DataFrame(matrix, index=[f"true {name}" for name in labels], columns=labels)
    return f"confusion matrix on validation (columns: predicted)\n{table.to_string()}"


def training_summary(run: Run) -> dict[str, float]:
    """What happened in training, as flat numbers; nothing measured with a clock."""
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
    }
