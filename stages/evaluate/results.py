"""The metrics of one method, from its predictions and from what its training recorded."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stages.classifier.scores import classification_scores
from stages.evaluate.intervals import Bootstrap, f1_difference_interval, f1_interval
from stages.evaluate.mcnemar import mcnemar_p

REFERENCE = "full"  # the method that the others are compared with
RECORDED = (  # copied from metrics/training/{method}.json
    "trainable_parameters",
    "trainable_body_parameters",
    "trainable_head_parameters",
    "total_parameters",
    "trainable_percent",
)
RECORDED_EPOCHS = ("epochs_trained", "best_epoch")
_MIB = 2**20


@dataclass(frozen=True)
class Predicted:
    """One data set: its labels (N,) and, per method, the predicted classes (N,), all in 0..K-1."""

    labels: np.ndarray
    by_method: Mapping[str, np.ndarray]


def method_metrics(
    method: str,
    test: Predicted,
    transfer: Mapping[str, Predicted],
    num_classes: int,
    bootstrap: Bootstrap,
    training: Mapping[str, float],
    checkpoint_bytes: int,
) -> dict[str, float]:
    """Return the metrics of `method`, in the order of the metric file.

    Accuracy, precision, recall and F1 on `test` are between 0 and 1, the last three averaged over the classes (macro);
    `f1_minus_full*` and `mcnemar_p` compare with full fine-tuning on the same texts (0, 0, 0 and 1 for full fine-tuning
    itself); `transfer_{name}_f1` is the macro F1 on each set in `transfer`.

    Raises:
        KeyError: `training` lacks one of the recorded numbers.
    """
    quality = _rounded(_quality(method, test, num_classes, bootstrap))
    transferred = {
        f"transfer_{name}_f1": classification_scores(data.labels, data.by_method[method], num_classes)["f1"]
        for name, data in transfer.items()
    }
    p = mcnemar_p(test.labels, test.by_method[method], test.by_method[REFERENCE])
    return {
        **quality,
        **_rounded(transferred),
        **_rounded({key: training[key] for key in RECORDED}),
        "checkpoint_mib": round(checkpoint_bytes / _MIB, 4),
        **{key: training[key] for key in RECORDED_EPOCHS},
        "mcnemar_p": float(f"{p:.6g}"),  # significant digits: a small p must not be rounded to 0
    }


def _quality(method: str, test: Predicted, num_classes: int, bootstrap: Bootstrap) -> dict[str, float]:
    """Return scores on the test set with their intervals, and the difference from full fine-tuning with its interval."""
    predictions, reference = test.by_method[method], test.by_method[REFERENCE]
    scores = classification_scores(test.labels, predictions, num_classes)
    reference_f1 = classification_scores(test.labels, reference, num_classes)["f1"]
    low, high = f1_interval(test.labels, predictions, num_classes, bootstrap)
    difference = f1_difference_interval(test.labels, predictions, reference, num_classes, bootstrap)
    return {
        **scores,
        "f1_low": low,
        "f1_high": high,
        "f1_minus_full": scores["f1"] - reference_f1,
        "f1_minus_full_low": difference[0],
        "f1_minus_full_high": difference[1],
    }


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    """Round floats to six decimals, for readable diffs, and turn -0.0 into 0.0; leave integers as they are."""
    return {key: round(value, 6) + 0.0 if isinstance(value, float) else value for key, value in metrics.items()}
