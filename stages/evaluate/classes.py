"""What a method does with each class: its F1, which classes it never predicts, and, for two classes, how well it ranks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score


def class_metrics(
    labels: np.ndarray, predictions: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the metrics of single classes, rounded to six decimals.

    Keys: `classes` (K), `classes_predicted` (how many of them are ever predicted), `never_predicted` (names of classes that
    the test set has and that are never predicted), `f1_by_class` (name -> F1, 0 for a class that is neither a label nor a
    prediction). For two classes the last one is the positive one, and there are `positive_class` (its name), `f1_positive`,
    `roc_auc` (probability that a random positive text gets a higher score than a random negative one, ties count half) and
    `average_precision` (area under the precision-recall curve as a step function; its chance level is the share of
    positive texts). The last two are computed from the probabilities, not from the predicted classes, and are left out
    where the test set has one class only.

    Args:
        labels, predictions: class indices, shape (N,), in 0..K-1.
        probabilities: of each class, shape (N, K).
    """
    classes = np.arange(len(class_names))
    f1 = f1_score(labels, predictions, labels=classes, average=None, zero_division=0)
    predicted, present = np.isin(classes, predictions), np.isin(classes, labels)
    metrics: dict[str, Any] = {
        "classes": len(class_names),
        "classes_predicted": int(predicted.sum()),
        "never_predicted": [class_names[k] for k in np.flatnonzero(present & ~predicted).tolist()],
        "f1_by_class": {name: round(float(score), 6) for name, score in zip(class_names, f1, strict=True)},
    }
    if len(class_names) == 2:
        metrics |= {"positive_class": class_names[1], "f1_positive": round(float(f1[1]), 6)}
        if present.all():
            metrics["roc_auc"] = round(float(roc_auc_score(labels, probabilities[:, 1])), 6)
            metrics["average_precision"] = round(float(average_precision_score(labels, probabilities[:, 1])), 6)
    return metrics
