"""Draw stratified parts of labelled texts: the subset of a quick look, and the three splits."""

from collections.abc import Sequence

import numpy as np

from stages.config.schema import DataParams
from stages.errors import UserError
from stages.tokenized import SPLITS


def stratified_sample(labels: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of `size` rows, drawn so that every class keeps its share.

    Class k with n_k of the N rows gives floor(size n_k / N) rows; what is then missing goes, one row each, to the classes
    with the largest remainders (Hamilton's method), so the sample has exactly `size` rows.

    Args:
        labels: class indices, shape (N,).
        size: 0..N.
    """
    classes, counts = np.unique(labels, return_counts=True)
    # integers: a remainder must not depend on rounding
    quotas, remainders = np.divmod(size * counts, max(len(labels), 1))
    quotas[np.argsort(-remainders, kind="stable")[: size - quotas.sum()]] += 1
    parts = [generator.permutation(np.flatnonzero(labels == k))[:quota] for k, quota in zip(classes, quotas, strict=True)]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


def limited(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Return the indices of all rows, or of a stratified sample of `limit` rows if limit is neither 0 nor that many."""
    if not limit or limit >= len(labels):
        return np.arange(len(labels))
    return stratified_sample(labels, limit, np.random.default_rng(seed))


def split(labels: np.ndarray, names: Sequence[str], params: DataParams, seed: int) -> dict[str, np.ndarray]:
    """Return the row indices of train, validation and test: disjoint, complete, stratified, sorted.

    Raises:
        UserError: a class has no row in one of the three.
    """
    generator = np.random.default_rng(seed)
    rest = np.arange(len(labels))
    parts = {}
    for name, fraction in (("test", params.test_fraction), ("validation", params.validation_fraction)):
        drawn = stratified_sample(labels[rest], min(round(fraction * len(labels)), len(rest)), generator)
        parts[name] = rest[drawn]
        rest = np.delete(rest, drawn)
    parts["train"] = rest
    for name in SPLITS:
        _check_classes(labels, names, name, parts[name], params)
    return {name: parts[name] for name in SPLITS}


def _check_classes(labels: np.ndarray, names: Sequence[str], split: str, indices: np.ndarray, params: DataParams) -> None:
    """Refuse a split that lacks a class: its F1 would be 0 for lack of rows, not for lack of skill."""
    for index, label in enumerate(names):
        if not np.any(labels[indices] == index):
            fraction = getattr(params, f"{split}_fraction")
            limit = f" or raise data.limit ({params.limit})" if params.limit else ""
            raise UserError(
                f"class {label!r} has {np.sum(labels == index)} row(s) after cleaning, none of which falls into {split} "
                f"({fraction:.0%} of the data); give it about {np.ceil(1 / fraction):.0f} rows or more{limit}, "
                "or merge it with another class"
            )
