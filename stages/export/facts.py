"""What a model card is computed from: the files that the stages left, and the parameters with which they were made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.classifier.saving import saved_labels
from stages.export.lock import differing_inputs, left_by, locked_stages, read_by
from stages.export.parameters import parameters_as_made
from stages.export.terms import BaseFacts, read_base_facts
from stages.presentation.learning import shortcomings
from stages.project.errors import UserError
from stages.project.files import content_hash, read_json
from stages.project.paths import BASE_MODEL, DETAILS, LEARNING_CURVES, METRICS, PROVENANCE, TRAINING_METRICS
from stages.project.schema import Params

SPLITS = ("train", "validation", "test")
SCORES = {"accuracy": "accuracy", "precision": "macro precision", "recall": "macro recall", "f1": "macro F1"}
INTERVAL = ("f1_low", "f1_high")
POSITIVE = {"f1_positive": "F1", "roc_auc": "ROC AUC", "average_precision": "average precision"}
INPUTS = ("data/", "models/")  # what training reads, apart from code and parameters
TRAINING = (
    *("best_epoch", "epochs_trained", "learning_rate", "micro_batch_size", "processes", "total_parameters"),
    *("trainable_parameters", "trainable_body_parameters", "trainable_head_parameters", "trainable_percent"),
)


@dataclass(frozen=True)
class TestScores:
    """What `evaluate` measured.

    Attributes:
        metrics: `SCORES` and `INTERVAL` on the test set (scalars in 0..1).
        transfer: macro F1 by transfer set.
        rows: of the test set, if known.
        by_class: F1 of each class, by name.
        positive: of two classes, `POSITIVE` for the second one, as far as they are defined.
        failed: why nothing can be concluded from the scores (`stages.presentation.learning.shortcomings`); often empty.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name
    metrics: dict[str, float]
    transfer: dict[str, float]
    rows: int | None
    by_class: dict[str, float]
    positive: dict[str, float]
    failed: list[str]


@dataclass(frozen=True)
class CardFacts:
    """Everything that the card of one method says.

    Attributes:
        params: the parameters with which data and model were made.
        labels: the K class names in order of index.
        training: the numbers `TRAINING` of metrics/training/{method}.json.
        validation: `SCORES` of the kept epoch (scalars in 0..1).
        rows: by split, how many rows each class has, shape (K,); a split that metrics/data.json does not count is missing.
        base: what the base model's own card says.
        test: None if these very weights were not evaluated.
    """

    method: str
    params: Params
    labels: list[str]
    training: dict[str, Any]
    validation: dict[str, float]
    rows: dict[str, list[int]]
    base: BaseFacts
    test: TestScores | None


def read_card_facts(folder: Path) -> CardFacts:
    """Return what the card of the checkpoint `folder` (models/{method}) says.

    Raises:
        UserError: the training left no record, or one of different weights or data; the message names the command that
            makes it.
    """
    method = folder.name
    try:
        summary = read_json(TRAINING_METRICS / f"{method}.json")
        training = {key: summary[key] for key in TRAINING}
        kept = pd.read_csv(LEARNING_CURVES / f"{method}.csv").set_index("epoch").loc[training["best_epoch"]]
        validation = {score: float(kept[score]) for score in SCORES}
        labels = saved_labels(folder)
        _check_origin(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: what its training recorded cannot be read ({type(error).__name__}: {error}); `dvc repro train_{method}` "
            "writes it with the weights"
        ) from None
    test = read_test_scores(folder)
    params = parameters_as_made(method, evaluated=test is not None)
    return CardFacts(method, params, labels, training, validation, rows_by_class(labels), read_base_facts(BASE_MODEL), test)


def _check_origin(folder: Path) -> None:
    """Refuse facts that are not about the weights in `folder`. Data that are not here, only the weights, are no contradiction.

    dvc.lock knows the weights that DVC took from its run cache, whose record is that of another run; the record knows those
    of a training without DVC.

    Raises:
        UserError: neither is about these weights, or data or base model have changed since.
        OSError, ValueError, KeyError, TypeError: there is no record, or a damaged one.
    """
    method = folder.name
    stage = locked_stages().get(f"train_{method}")
    again = f"`dvc repro -f -s train_{method}` trains and records it again"
    if left_by(stage, folder, TRAINING_METRICS / f"{method}.json", LEARNING_CURVES / f"{method}.csv"):
        changed = differing_inputs(stage, INPUTS)
    else:
        record = read_json(PROVENANCE / f"train_{method}.json")
        if record["outputs"][folder.as_posix()] != content_hash(folder):
            raise UserError(f"{folder}: metrics/provenance/train_{method}.json is about different weights; {again}")
        here = {name: made for name, made in record["inputs"].items() if name.startswith(INPUTS) and Path(name).exists()}
        changed = [name for name, made in here.items() if content_hash(Path(name)) != made]
    if changed:
        raise UserError(f"{folder}: {changed[0]} is not what it was trained on, so its card would be wrong; {again}")


def rows_by_class(labels: list[str]) -> dict[str, list[int]]:
    """Rows of each class in the splits, as metrics/data.json counts them."""
    try:
        counted = {row["name"]: row for row in read_json(METRICS / "data.json")["classes"]}
        rows = [counted[label] for label in labels]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {split: [row[split] for row in rows] for split in SPLITS if all(split in row for row in rows)}


def read_test_scores(folder: Path) -> TestScores | None:
    """Return the test scores of the model in `folder` (models/{method}), or None if there are none of these very weights.

    metrics/details/{method}.json does not say which weights it is about. dvc.lock and metrics/provenance/evaluate.json have the
    hash of the folder that was evaluated and that of the metrics.
    """
    path = DETAILS / f"{folder.name}.json"
    try:
        if not _evaluated(folder, path):
            return None
        found = read_json(path)
        names = (key.removeprefix("transfer_").removesuffix("_f1") for key in found if key.startswith("transfer_"))
        return TestScores(
            metrics={key: float(found[key]) for key in (*SCORES, *INTERVAL)},
            transfer={name: found[f"transfer_{name}_f1"] for name in names},
            rows=read_json(METRICS / "data.json").get("test_rows"),
            by_class=found["f1_by_class"],
            positive={key: found[key] for key in POSITIVE if key in found},
            failed=shortcomings(found),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _evaluated(folder: Path, path: Path) -> bool:
    """Whether the metrics at `path` are about the weights in `folder`."""
    stage = locked_stages().get("evaluate")
    if read_by(stage, folder) and left_by(stage, path):
        return True
    record = read_json(PROVENANCE / "evaluate.json")
    made = record["inputs"][folder.as_posix()], record["outputs"][path.as_posix()]
    return made == (content_hash(folder), content_hash(path))
