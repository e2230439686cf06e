"""The keys of metrics/{method}.json, in order."""

QUALITY = [
    "accuracy",
    "precision",
    "recall",
    "f1",
    "f1_low",
    "f1_high",
    "f1_minus_full",
    "f1_minus_full_low",
    "f1_minus_full_high",
]
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


def metric_keys(*transfer: str) -> list[str]:
    """All keys, with one for each transfer set."""
    return [*QUALITY, *(f"transfer_{name}_f1" for name in transfer), *COSTS]
