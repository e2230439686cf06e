"""The four scores by which the methods are compared."""

import numpy as np
from sklearn.metrics import accuracy_score, precision_recall_fscore_support


def classification_scores(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> dict[str, float]:
    """Return accuracy and macro-averaged precision, recall and F1.

    Macro F1 is the unweighted mean over the classes of F1_k = 2 TP_k / (2 TP_k + FP_k + FN_k). Every class counts,
    even one that neither `labels` nor `predictions` contains; a ratio with denominator 0 is 0.

    Args:
        labels, predictions: class indices, shape (N,), in 0..num_classes-1.
    """
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predictions, labels=np.arange(num_classes), average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(labels, predictions)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }
