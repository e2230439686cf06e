"""python -m study.cell NAME

Trains one cell and writes metrics/study/cells/NAME.json; `make study` calls it for all that are missing. The training is that of
the pipeline (stages.training.run.fit) with the cell's parameters, in one thread: the bytes do not depend on the number of cores
nor on what runs beside it. Nothing else is kept, no model either.
"""

import hashlib
import os
import sys

from stages.project.environment import recorded_environment
from stages.project.running import Clock, loading, report_errors

# One thread, and before any library reads it; a number of our own would be one more thing on which bytes depend. So would be
# variables that decide how sums are rounded.
for variable in recorded_environment():
    os.environ.pop(variable.removeprefix("environment "))
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM"), "1") | {"HF_HUB_OFFLINE": "1"})

with loading():
    import contextlib
    import time
    from collections.abc import Iterator
    from functools import partial
    from typing import Any

    import numpy as np
    import torch
    from datasets import Dataset
    from filelock import FileLock, Timeout
    from scipy.special import log_softmax
    from transformers import PreTrainedTokenizerBase

    from stages.classifier.counting import count_parameters
    from stages.classifier.inference import predict_logits
    from stages.classifier.loading import load_base_model
    from stages.classifier.scores import classification_scores
    from stages.classifier.splits import (
        SPLITS,
        column,
        load_labels,
        load_split,
        load_tokenizer,
        load_transfer_names,
        make_collator,
    )
    from stages.methods.method import Method
    from stages.methods.registry import method_of
    from stages.project.errors import UserError
    from stages.project.files import content_hash, write_json
    from stages.project.machine import pick_device
    from stages.project.paths import BASE_MODEL, PROCESSED
    from stages.project.processes import forget_launcher
    from stages.project.schema import Params
    from stages.training.run import fit
    from study.cosine import CosineWatch
    from study.definition import Cell, find_cell, params_of
    from study.head import NAME as HEAD
    from study.head import HeadOnly, as_row_numbers, compute_features, kept_features
    from study.inputs import require_current
    from study.paths import CELLS, FEATURES, LOCKS
    from study.plain import train_plainly
    from study.rates_file import learning_rate_of
    from study.settings import load_study
    from study.texts import Texts, digits, texts_of
    from study.timing import record_seconds


def main(name: str) -> None:
    """Train the cell `name` and write its file, and beside it, in no hash, how long that took."""
    started = time.monotonic()
    study = load_study()
    cell = find_cell(study, name)
    torch.set_num_threads(1)
    require_current(cell.method, study)
    with only_one(name):
        params = params_of(cell, study, learning_rate_of(cell))
        row = result(cell, params, study.settings.seed)
        write_json(CELLS / f"{name}.json", row)
        record_seconds(name, Clock.loading + time.monotonic() - started)
    print(f"{name}: validation macro F1 {row['validation_f1']:.4f}", flush=True)


@contextlib.contextmanager
def only_one(name: str) -> Iterator[None]:
    """Hold the lock of the cell, which ends with this process.

    Raises:
        UserError: another process trains the same cell.
    """
    LOCKS.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOCKS / f"{name}.lock", timeout=0):
            yield
    except Timeout:
        raise UserError(f"{name} is being trained by another process in this folder; wait until it ends") from None


def result(cell: Cell, params: Params, split_seed: int) -> dict[str, Any]:
    """Train and predict, and return the content of the cell's file."""
    labels, tokenizer = load_labels(), load_tokenizer()
    method, load = _method(cell, params, labels, tokenizer)
    texts = texts_of(cell, params, split_seed, load)
    trained = _train_plainly if cell.plain else partial(_train, method)
    model, found = trained(cell, params, labels, tokenizer, texts)
    return {
        **_described(cell, params, len(texts.train), split_seed),
        **found,
        **_tested(model, texts.sets, tokenizer, len(labels), params),
    }


def _method(cell: Cell, params: Params, labels: list[str], tokenizer: PreTrainedTokenizerBase) -> tuple[Method, Any]:
    """Return the method and the function that loads its rows: for the head alone, rows of the table of features."""
    if cell.method != HEAD:
        return method_of(cell.method), load_split
    names = (*SPLITS, *(f"transfer_{name}" for name in load_transfer_names()))
    sets = {name: load_split(name) for name in names}
    firsts = dict(zip(names, np.cumsum([0, *map(len, sets.values())]).tolist(), strict=False))

    def compute() -> torch.Tensor:
        model, collator = load_base_model(labels, params.seed), make_collator(tokenizer)
        torch.nn.Module.to(model, pick_device())
        return torch.cat([compute_features(model, rows, collator, params.evaluate.batch_size) for rows in sets.values()])

    key = hashlib.sha256(
        f"{content_hash(BASE_MODEL)} {content_hash(PROCESSED)} {params.evaluate.batch_size}".encode()
    ).hexdigest()
    features = kept_features(FEATURES / f"{key[:16]}.safetensors", compute)
    return HeadOnly(features), lambda name: as_row_numbers(sets[name], firsts[name])


def _train(
    method: Method, cell: Cell, params: Params, labels: list[str], tokenizer: PreTrainedTokenizerBase, texts: Texts
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train as the pipeline does; return the model of the best epoch and what the training says."""
    watch = CosineWatch(params.awp, make_collator(tokenizer)(some_of(texts.validation))) if params.awp.enabled else None
    callbacks = [watch] if watch else []
    run = fit(method, params, labels, tokenizer, texts.train, validation=texts.validation, callbacks=callbacks)
    best = run.history.rows[run.stopping.best_epoch - 1]
    log = run.trainer.awp.log if run.trainer.awp else None
    return run.trainer.model, {
        "trainable": run.counts.trainable,
        "best_epoch": best.epoch,
        "validation_f1": _rounded(best.f1),
        "validation_loss": _rounded(best.validation_loss),
        "gradient_cosine": _rounded(watch.mean() if watch else None),
        "awp_relative_step_mean": None if log is None else round(log.ratio_mean, 9),
    }


def some_of(rows: Dataset, number: int = 16) -> list[dict]:
    """Return `number` of `rows`, or all if there are fewer, spread evenly: the first ones can all be of one class."""
    return rows.select(np.linspace(0, len(rows) - 1, min(number, len(rows))).round().astype(int)).to_list()


def _train_plainly(
    cell: Cell, params: Params, labels: list[str], tokenizer: PreTrainedTokenizerBase, texts: Texts
) -> tuple[torch.nn.Module, dict[str, Any]]:
    run = train_plainly(params, labels, tokenizer, texts, params.train.learning_rate.full)
    return run.model, {
        "trainable": count_parameters(run.model).trainable,
        "best_epoch": run.best_epoch,
        "validation_f1": _rounded(run.validation_f1),
        "validation_loss": _rounded(run.validation_loss),
        "gradient_cosine": None,
        "awp_relative_step_mean": None,
    }


def _described(cell: Cell, params: Params, rows: int, split_seed: int) -> dict[str, Any]:
    """Return what the cell is, by the names of the study's table; null where something does not apply."""
    awp, peft = params.awp if params.awp.enabled else None, params.peft if cell.method == "lora" else None
    return {
        "cell": cell.name,
        "series": cell.series,
        "method": cell.method,
        "condition": cell.condition,
        "seed": cell.seed,
        "split_seed": split_seed if cell.split_seed is None else cell.split_seed,
        "rows": rows,
        "learning_rate": getattr(params.train.learning_rate, cell.method),
        "epochs": cell.epochs,
        # with a box, epsilon has no effect
        "awp_epsilon": awp.epsilon if awp and awp.box is None else None,
        "awp_target": awp.target if awp else None,
        "awp_embeddings": awp.embeddings if awp else None,
        "awp_box": awp.box if awp else None,
        "peft_target": peft.target if peft else None,
        "peft_rank": peft.rank if peft else None,
    }


def _tested(
    model: torch.nn.Module, sets: dict[str, Dataset], tokenizer: PreTrainedTokenizerBase, num_classes: int, params: Params
) -> dict[str, Any]:
    """Predict each of `sets` once; return the scores, and the predicted classes of the test set."""
    collator, found = make_collator(tokenizer), dict.fromkeys(("test_f1", "test_accuracy", "test_loss"))
    scores: dict[str, Any] = {**found, **{f"{name}_f1": None for name in load_transfer_names()}}
    predictions: dict[str, Any] = {"test_predictions": None, "test_sha256": None}
    for name, rows in sets.items():
        logits = predict_logits(model, rows, collator, params.evaluate.batch_size, params.evaluate.precision)
        truth, predicted = column(rows, "label"), logits.argmax(axis=1)
        of_set = classification_scores(truth, predicted, num_classes)
        scores[f"{name}_f1"] = _rounded(of_set["f1"])
        if name == "test":
            loss = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(truth)), truth].mean()
            scores |= {"test_accuracy": _rounded(of_set["accuracy"]), "test_loss": _rounded(float(loss))}
            predictions["test_predictions"] = digits(predicted, num_classes)
            predictions["test_sha256"] = hashlib.sha256(digits(truth, num_classes).encode()).hexdigest()
    return scores | predictions


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6) + 0.0


if __name__ == "__main__":
    with report_errors():
        forget_launcher()
        if len(sys.argv) != 2:
            raise UserError(
                f"python -m study.cell takes the name of one cell, received {sys.argv[1:]}; see python -m study.cells"
            )
        main(sys.argv[1])
