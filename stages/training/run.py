"""The skeleton: load, build, regularize, train, keep the best epoch, show and save. The method is its only variable."""

import tempfile
from types import ModuleType

import numpy as np
import torch
from datasets import Dataset
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from stages.acceleration.apply import accelerate_training
from stages.config import Params, load_params
from stages.memory.budget import choose_batching
from stages.memory.recompute import recompute_activations
from stages.methods.counting import count_parameters, head_modules
from stages.processes import is_main_process, process_index
from stages.provenance import origin
from stages.regularization.mixout import apply_mixout
from stages.scores import classification_scores
from stages.tokenized import column, load_labels, load_split, load_tokenizer, make_collator
from stages.training.arguments import training_arguments
from stages.training.early_stopping import EarlyStopping
from stages.training.history import History, ProgressBar
from stages.training.loss import balanced_class_weights
from stages.training.results import Run, write_results
from stages.training.save_point import SavePoint, save_point_of
from stages.training.trainer import FineTuningTrainer


def train(method: ModuleType) -> None:
    """Train `method` (a module of stages.methods) and write its checkpoint, learning curve and training metrics."""
    params = load_params()
    labels, tokenizer = load_labels(), load_tokenizer()
    # before training: what is edited while it runs has no part in it
    comes_from = origin(f"train_{method.NAME}", params)
    point = save_point_of(method.NAME, comes_from["inputs"])
    run = fit(method, params, labels, tokenizer, load_split("train"), point)
    if is_main_process():
        write_results(method, params, labels, tokenizer, run, comes_from)
        point.remove()  # only now: if writing the results failed, the next start need not train again
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


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
        logits, labels = prediction.predictions, prediction.label_ids
        scores = classification_scores(labels, np.argmax(logits, axis=-1), num_classes)
        # the Trainer's own loss counts rows twice with which it fills up the last batch of several processes
        cross_entropy = torch.nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
        return scores | {"cross_entropy": cross_entropy.item()}

    validation = load_split("validation")
    # longest first: the texts of one batch then differ little in length, and the metrics do not see the order
    validation = validation.select(np.argsort(-column(validation, "length"), kind="stable"), keep_in_memory=True)
    trainer = FineTuningTrainer(
        model=model,
        args=training_arguments(params, batching, learning_rate, scratch),
        train_dataset=rows,
        eval_dataset=validation,
        data_collator=make_collator(tokenizer),
        compute_metrics=compute_metrics,
        awp=params.awp,
        class_weights=balanced_class_weights(column(rows, "label"), num_classes) if balanced else None,
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback):
        trainer.add_callback(ProgressBar)
    return trainer
