"""McNemar's exact test: do two methods err equally often on the same texts?"""

import numpy as np
from scipy.stats import binomtest


def mcnemar_p(labels: np.ndarray, predictions: np.ndarray, reference: np.ndarray) -> float:
    """Return the two-sided exact p-value of McNemar's test (Psychometrika 12, 1947) for two predictions of N labels.

    Only discordant texts count: b that `predictions` alone gets right and c that `reference` alone gets right. If both
    methods err equally often, b is Binomial(b + c, 1/2), and p = min(1, 2 P(X <= min(b, c))). Without discordant texts
    p = 1. The test compares accuracies, not F1.
    """
    right = predictions == labels
    reference_right = reference == labels
    only_ours = int(np.sum(right & ~reference_right))
    only_theirs = int(np.sum(~right & reference_right))
    discordant = only_ours + only_theirs
    if discordant == 0:
        return 1.0
    return float(binomtest(only_ours, discordant, 0.5).pvalue)
