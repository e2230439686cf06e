"""Whether a method learned anything that a comparison could be about: what everything that people read says first."""

from collections.abc import Mapping
from typing import Any

MAJORITY, GUESSING, CLASSES = "majority", "guessing", "classes"


def shortcomings(details: Mapping[str, Any]) -> list[str]:
    """Return why nothing can be concluded about a method; an empty list means that it learned.

    `MAJORITY`: its macro F1 is not above that of always predicting the most frequent class. `GUESSING`: it is not above that
    of classes drawn at random with their frequencies in training, which beat the first baseline in macro F1. `CLASSES`: it
    never predicts some class that the test set has. "Above" means the whole paired bootstrap interval of the difference.

    Args:
        details: of metrics/details/{method}.json, `f1_minus_majority_low`, `f1_minus_stratified_low` and `never_predicted`.
    """
    checks = {
        MAJORITY: details["f1_minus_majority_low"] <= 0,
        GUESSING: details["f1_minus_stratified_low"] <= 0,
        CLASSES: bool(details["never_predicted"]),
    }
    return [name for name, failed in checks.items() if failed]
