"""The keys of metrics/{method}.json and of metrics/details/{method}.json, in order."""

HEADLINE = ["accuracy", "f1", "f1_high", "f1_low", "precision", "recall", "size_mib", "trainable"]
SCORES = ["accuracy", "precision", "recall", "f1", "f1_low", "f1_high"]  # those of a baseline, too
QUALITY = [*SCORES, "f1_minus_full", "f1_minus_full_low", "f1_minus_full_high"]
COSTS = [
    "trainable_parameters",
    "trainable_body_parameters",
    "trainable_head_parameters",
    "total_parameters",
    "trainable_percent",
    "checkpoint_mib",
    "epochs_trained",
    "best_epoch",
    "mcnemar_p",
]
LEARNING = [
    *(f"f1_minus_{baseline}{end}" for baseline in ("majority", "stratified") for end in ("", "_low", "_high")),
    *("classes", "classes_predicted", "never_predicted", "learned", "f1_by_class"),
]
CALIBRATION = ["nll", "brier", "ece", "ece_bins"]
TWO_CLASSES = ["positive_class", "f1_positive", "roc_auc", "average_precision"]


def detail_keys(*transfer: str, classes: int = 2) -> list[str]:
    """All keys of the details, with one for each transfer set."""
    more = TWO_CLASSES if classes == 2 else []
    return [*QUALITY, *(f"transfer_{name}_f1" for name in transfer), *COSTS, *LEARNING, *more, *CALIBRATION]
