"""Predict the test set and the transfer sets with each saved model, and write what the evaluation says of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy.special import softmax
from tqdm import tqdm

from stages.classifier.inference import predict_logits
from stages.classifier.low_precision import check_precision
from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, load_transfer_names, make_collator
from stages.evaluate.baselines import make_baselines
from stages.evaluate.intervals import Bootstrap
from stages.evaluate.output import write_evaluation
from stages.evaluate.records import restore_record
from stages.evaluate.results import Predicted, Setting
from stages.methods.checkpoint import checkpoint_bytes, load_checkpoint
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.machine import pick_device
from stages.project.parameters import load_params
from stages.project.paths import DETAILS, LEARNING_CURVES, METRICS, MODELS, TRAINING_METRICS
from stages.project.provenance import provenance, write_provenance
from stages.project.schema import METHODS, Params


def main() -> None:
    params = load_params()
    check_precision(params.evaluate.precision, "evaluate.precision", pick_device())
    record = provenance("evaluate", params)
    for method in METHODS:
        restore_record(f"train_{method}", params, MODELS / method)
    class_names = load_labels()
    sets = {"test": load_split("test")} | {name: load_split(f"transfer_{name}") for name in load_transfer_names()}
    training, curves = training_records()
    baselines = make_baselines(load_split("train"), sets["test"], params.seed)
    bootstrap = Bootstrap(params.evaluate.bootstrap_samples, params.evaluate.confidence, params.seed)
    predicted = predict(sets, len(class_names), params)
    shown = write_evaluation(
        test=predicted.pop("test"),
        transfer=predicted,
        setting=Setting(class_names, bootstrap, baselines, params.evaluate.calibration_bins),
        training=training,
        checkpoint_bytes={method: checkpoint_bytes(MODELS / method) for method in METHODS},
        curves=curves,
    )
    written = [folder / f"{method}.json" for folder in (METRICS, DETAILS) for method in METHODS]
    write_provenance("evaluate", record, [*written, METRICS / "baseline.json"])
    print(shown)


def training_records() -> tuple[dict[str, dict], dict[str, pd.DataFrame]]:
    """Return, per method, the numbers and the learning curve that its training wrote."""
    try:
        numbers = {method: read_json(TRAINING_METRICS / f"{method}.json") for method in METHODS}
        curves = {method: pd.read_csv(LEARNING_CURVES / f"{method}.csv") for method in METHODS}
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; run `dvc repro evaluate`, which also trains what is missing") from None
    return numbers, curves


def predict(sets: Mapping[str, Dataset], num_classes: int, params: Params) -> dict[str, Predicted]:
    """Return what each method predicts for each data set; a checkpoint is loaded once, from disk.

    Probabilities are the softmax of the logits. Only those of the test set are kept.
    """
    device, precision = pick_device(), params.evaluate.precision
    collator = make_collator(load_tokenizer())
    classes: dict[str, dict[str, np.ndarray]] = {name: {} for name in sets}
    probabilities: dict[str, dict[str, np.ndarray]] = {name: {} for name in sets}
    with tqdm(total=len(METHODS) * len(sets), unit="set", disable=None) as progress:
        for method in METHODS:
            model = load_checkpoint(MODELS / method, acceleration=params.train.acceleration, precision=precision).to(device)
            for name, dataset in sets.items():
                progress.set_description(f"{method} on {name}")
                logits = predict_logits(model, dataset, collator, params.evaluate.batch_size, precision)
                classes[name][method] = classes_of(logits, num_classes, method)
                if name == "test":
                    probabilities[name][method] = softmax(logits.astype(np.float64), axis=1)
                progress.update()
    return {name: Predicted(column(dataset, "label"), classes[name], probabilities[name]) for name, dataset in sets.items()}


def classes_of(logits: np.ndarray, num_classes: int, method: str) -> np.ndarray:
    """Return the class (N,) with the largest of the K logits in each row of `logits` (N, K); of equal ones the first.

    Raises:
        UserError: the model and the data differ in the number of classes, or some logits are not finite.
    """
    if logits.shape[1] != num_classes:
        raise UserError(
            f"{MODELS / method}: the model has {logits.shape[1]} classes, but the data has {num_classes}; "
            f"train it on this data: dvc repro train_{method}"
        )
    broken = int(np.sum(~np.isfinite(logits).all(axis=1)))
    if broken:
        raise UserError(
            f"{MODELS / method}: {broken} of {len(logits)} texts have logits that are not finite; "
            f"training probably diverged, try a lower train.learning_rate.{method}"
        )
    return logits.argmax(axis=1)
