"""The metrics of one method, from its predictions and from what its training recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stages.classifier.scores import classification_scores
from stages.evaluate.baselines import Baseline
from stages.evaluate.calibration import calibration_scores
from stages.evaluate.classes import class_metrics
from stages.evaluate.intervals import Bootstrap, f1_difference_interval, f1_interval
from stages.evaluate.mcnemar import mcnemar_p
from stages.presentation.learning import shortcomings

REFERENCE = "full"  # the method that the others are compared with
CHANCE = ("majority", "stratified")  # the baselines that have learned nothing, which a method must beat
RECORDED = (  # copied from metrics/training/{method}.json
    "trainable_parameters",
    "trainable_body_parameters",
    "trainable_head_parameters",
    "total_parameters",
    "trainable_percent",
)
RECORDED_EPOCHS = ("epochs_trained", "best_epoch")
_CHANCE_SAMPLES = 2000  # resamples at most: whether an interval lies above 0 needs fewer than its printed ends
_MIB = 2**20


@dataclass(frozen=True)
class Predicted:
    """One data set: its labels (N,) and, per method, the predicted classes (N,), all in 0..K-1.

    Attributes:
        probabilities: per method, the probability of each class (N, K); empty where nothing asks for them.
    """

    labels: np.ndarray
    by_method: Mapping[str, np.ndarray]
    probabilities: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """What is the same for every method: the K class names, how intervals are computed, the baselines, bins of confidence."""

    class_names: Sequence[str]
    bootstrap: Bootstrap
    baselines: Mapping[str, Baseline]
    calibration_bins: int


def method_details(
    method: str,
    test: Predicted,
    transfer: Mapping[str, Predicted],
    setting: Setting,
    training: Mapping[str, float],
    checkpoint_bytes: int,
) -> dict[str, Any]:
    """Return all metrics of `method`, in the order of metrics/details/{method}.json.

    Accuracy, precision, recall and F1 on `test` are between 0 and 1, the last three averaged over the classes (macro);
    `f1_minus_full*` and `mcnemar_p` compare with full fine-tuning on the same texts (0, 0, 0 and 1 for full fine-tuning
    itself); `transfer_{name}_f1` is the macro F1 on each set in `transfer`; `f1_minus_majority*` and `f1_minus_stratified*`
    compare with baselines that know nothing of the texts; `learned` is true where both differences are above 0 with their
    whole interval and no class of the test set is never predicted; `nll`, `brier` and `ece*` are explained in
    `stages.evaluate.calibration`, the rest in `stages.evaluate.classes`.

    Raises:
        KeyError: `training` lacks one of the recorded numbers.
    """
    num_classes = len(setting.class_names)
    quality = _rounded(_quality(method, test, num_classes, setting.bootstrap))
    transferred = {
        f"transfer_{name}_f1": classification_scores(data.labels, data.by_method[method], num_classes)["f1"]
        for name, data in transfer.items()
    }
    p = mcnemar_p(test.labels, test.by_method[method], test.by_method[REFERENCE])
    details = {
        **quality,
        **_rounded(transferred),
        **_rounded({key: training[key] for key in RECORDED}),
        "checkpoint_mib": round(checkpoint_bytes / _MIB, 4),
        **{key: training[key] for key in RECORDED_EPOCHS},
        "mcnemar_p": float(f"{p:.6g}"),  # significant digits: a small p must not be rounded to 0
    }
    details |= _rounded(_above_chance(test.labels, test.by_method[method], setting))
    of_classes = class_metrics(test.labels, test.by_method[method], test.probabilities[method], setting.class_names)
    details |= {key: of_classes.pop(key) for key in ("classes", "classes_predicted", "never_predicted")}
    details["learned"] = not shortcomings(details)
    calibration = _rounded(calibration_scores(test.labels, test.probabilities[method], setting.calibration_bins))
    return details | of_classes | calibration


def headline(details: Mapping[str, Any]) -> dict[str, float]:
    """Return what metrics/{method}.json holds: few and short numbers, so that `dvc metrics show` is one narrow table."""
    scores = {key: round(details[key], 4) for key in ("accuracy", "f1", "f1_high", "f1_low", "precision", "recall")}
    return {**scores, "size_mib": round(details["checkpoint_mib"], 2), "trainable": details["trainable_parameters"]}


def baseline_scores(labels: np.ndarray, baseline: Baseline, setting: Setting) -> dict[str, float]:
    """Return what metrics/baseline.json holds of one baseline: its scores, and on how many rows it was trained.

    Those of its probabilities follow where it has some.
    """
    scores = _scores_with_interval(labels, baseline.predictions, len(setting.class_names), setting.bootstrap)
    values = {**_rounded(scores), "training_rows": baseline.training_rows}
    if baseline.probabilities is None:
        return values
    return values | _rounded(calibration_scores(labels, baseline.probabilities, setting.calibration_bins))


def _above_chance(labels: np.ndarray, predictions: np.ndarray, setting: Setting) -> dict[str, float]:
    """Return the differences of macro F1 from the baselines that have learned nothing, with their intervals."""
    bootstrap = replace(setting.bootstrap, samples=min(setting.bootstrap.samples, _CHANCE_SAMPLES))
    differences: dict[str, float] = {}
    for name in CHANCE:
        compared = compare(labels, predictions, setting.baselines[name].predictions, len(setting.class_names), bootstrap)
        differences |= {f"f1_minus_{name}{end}": value for end, value in compared.items()}
    return differences


def _scores_with_interval(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, bootstrap: Bootstrap
) -> dict[str, float]:
    """Return accuracy, macro precision, recall and F1, and the interval of F1."""
    low, high = f1_interval(labels, predictions, num_classes, bootstrap)
    return {**classification_scores(labels, predictions, num_classes), "f1_low": low, "f1_high": high}


def compare(
    labels: np.ndarray, predictions: np.ndarray, reference: np.ndarray, num_classes: int, bootstrap: Bootstrap
) -> dict[str, float]:
    """Return macro F1 of `predictions` minus that of `reference` under the key "", its interval under "_low" and "_high"."""
    if predictions is reference:
        return {"": 0.0, "_low": 0.0, "_high": 0.0}
    difference = f1_difference_interval(labels, predictions, reference, num_classes, bootstrap)
    ours, theirs = (classification_scores(labels, p, num_classes)["f1"] for p in (predictions, reference))
    return {"": ours - theirs, "_low": difference[0], "_high": difference[1]}


def _quality(method: str, test: Predicted, num_classes: int, bootstrap: Bootstrap) -> dict[str, float]:
    """Return scores on the test set with their intervals, and the difference from full fine-tuning with its interval."""
    predictions, reference = test.by_method[method], test.by_method[REFERENCE]
    compared = compare(test.labels, predictions, reference, num_classes, bootstrap)
    return {
        **_scores_with_interval(test.labels, predictions, num_classes, bootstrap),
        **{f"f1_minus_{REFERENCE}{end}": value for end, value in compared.items()},
    }


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    """Round floats to six decimals, for readable diffs, and turn -0.0 into 0.0; leave integers as they are."""
    return {key: round(value, 6) + 0.0 if isinstance(value, float) else value for key, value in metrics.items()}
