"""The cross-check: full fine-tuning as a plain `transformers.Trainer` does it, without this project's code for training.

The usual recipe: a new head on the encoder, batches of 32 texts grouped by length, AdamW with linear warm-up and decay, a
checkpoint after each epoch, the best by validation F1 loaded at the end.
"""

import tempfile
from typing import NamedTuple

import numpy as np
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from stages.classifier.loading import load_base_model
from stages.classifier.scores import classification_scores
from stages.project.machine import pick_device
from stages.project.schema import Params
from study.texts import Texts


class PlainRun(NamedTuple):
    model: PreTrainedModel
    best_epoch: int
    validation_f1: float
    validation_loss: float


def train_plainly(params: Params, labels: list[str], tokenizer: PreTrainedTokenizerBase, texts: Texts, rate: float) -> PlainRun:
    """Train the full model with the library alone and return it with the weights of its best epoch."""
    model = load_base_model(labels, params.seed)

    def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
        assert isinstance(prediction.predictions, np.ndarray) and isinstance(prediction.label_ids, np.ndarray)
        return classification_scores(prediction.label_ids, prediction.predictions.argmax(axis=1), len(labels))

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=_arguments(folder, params, rate),
            train_dataset=texts.train,
            eval_dataset=texts.validation,
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=compute_metrics,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    evaluations = [entry for entry in trainer.state.log_history if "eval_f1" in entry]
    best = max(evaluations, key=lambda entry: entry["eval_f1"])  # of equal ones the first, as the library takes
    return PlainRun(model, round(best["epoch"]), best["eval_f1"], best["eval_loss"])


def _arguments(folder: str, params: Params, rate: float) -> TrainingArguments:
    train = params.train
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.batch_size,
        per_device_eval_batch_size=train.eval_batch_size,
        train_sampling_strategy="group_by_length",
        learning_rate=rate,
        lr_scheduler_type="linear",
        warmup_steps=train.warmup_fraction,
        weight_decay=train.weight_decay,
        seed=params.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="f1",
        use_cpu=pick_device().type == "cpu",
        report_to="none",
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
