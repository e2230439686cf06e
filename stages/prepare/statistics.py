"""Flat, named numbers for metrics/data.json that describe the prepared data."""

from collections.abc import Mapping, Sequence

import numpy as np

PERCENTILES = (50, 95, 99)


def row_statistics(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Return `{prefix}rows_read`, the number of rows in the source, and `{prefix}dropped_{rule}` for every rule.

    Rows that are not dropped are in the splits: rows read = rows dropped + rows of the splits.

    Args:
        counts: "read", then the rules in the order in which they are applied.
    """
    return {f"{prefix}{'rows_read' if key == 'read' else f'dropped_{key}'}": count for key, count in counts.items()}


def class_statistics(prefix: str, labels: np.ndarray, names: Sequence[str]) -> dict[str, int]:
    """Return the number of rows of a split, in total and by class: `{prefix}_rows`, `{prefix}_rows_{class}`."""
    counts = np.bincount(labels, minlength=len(names))
    by_class = {f"{prefix}_rows_{name}": int(count) for name, count in zip(names, counts, strict=True)}
    return {f"{prefix}_rows": len(labels), **by_class}


def majority_statistics(prefix: str, labels: np.ndarray) -> dict[str, float]:
    """Return `{prefix}_majority_percent`: the share of the largest class, which is the accuracy of always predicting it."""
    return {f"{prefix}_majority_percent": 100 * float(np.bincount(labels).max() / len(labels))}


def length_statistics(prefix: str, lengths: np.ndarray, max_length: int) -> dict[str, float]:
    """Return percentiles of the untruncated lengths in tokens, their maximum, and the share that is truncated.

    A percentile is a length that occurs: the smallest that at least this share of the texts does not exceed.

    Args:
        lengths: tokens per text with special tokens, before truncation, shape (N,).
    """
    values = np.percentile(lengths, PERCENTILES, method="inverted_cdf")
    return {
        **{f"{prefix}token_length_p{p}": int(value) for p, value in zip(PERCENTILES, values, strict=True)},
        f"{prefix}token_length_max": int(lengths.max()),
        f"{prefix}truncated_percent": 100 * float(np.mean(lengths > max_length)),
    }
