"""Draw stratified samples of labelled texts: the subset for a quick look, and the three splits."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from stages.classifier.splits import SPLITS
from stages.project.errors import UserError
from stages.project.schema import DataParams


def stratified_sample(labels: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of `size` rows, drawn so that every class keeps its share.

    scikit-learn's StratifiedShuffleSplit refuses a class with one row, a sample smaller than the number of classes, and a
    sample of all rows; and it distributes the remainder at random.

    Class k with n_k of the N rows gives floor(size n_k / N) rows; the missing rows go, one each, to the classes with the
    largest remainders (Hamilton's method), so the sample has exactly `size` rows.

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
    """Return the indices of all rows, or of a stratified sample of `limit` rows if 0 < `limit` < N."""
    if not limit or limit >= len(labels):
        return np.arange(len(labels))
    return stratified_sample(labels, limit, np.random.default_rng(seed))


def strata(labels: np.ndarray, places: np.ndarray, classes: int) -> np.ndarray:
    """Return one number per class and given split, (N,): a sample that is stratified by it keeps the share of every split too.

    Args:
        labels: class indices below `classes`, shape (N,).
        places: positions in `SPLITS` of the splits that the rows were given for, shape (N,).
    """
    return places.astype(np.int64) * classes + labels  # int8 would overflow


def shares_to_cut(params: DataParams, given: Collection[str]) -> dict[str, float]:
    """Return the share of train's rows that each missing split takes, the test set first.

    With f the fractions, a missing split s takes f_s / (1 - sum of f over the given ones among validation and test); so the
    missing splits and train keep the proportions that they have if nothing is given. With a test set given, for example,
    validation takes f_validation / (f_train + f_validation).
    """
    missing = [name for name in ("test", "validation") if name not in given]
    taken = sum(getattr(params, f"{name}_fraction") for name in ("test", "validation") if name in given)
    return {name: getattr(params, f"{name}_fraction") / (1 - taken) for name in missing}


def split(
    labels: np.ndarray,
    names: Sequence[str],
    params: DataParams,
    seed: int,
    places: np.ndarray | None = None,
    given: Collection[str] = ("train",),
) -> dict[str, np.ndarray]:
    """Return the row indices of train, validation and test: disjoint, complete, sorted; what is cut is stratified.

    Args:
        labels: class indices, shape (N,).
        places: positions in `SPLITS` of the splits that the rows were given for, shape (N,); None: all for train.
        given: the splits that the rows were given for; the others are cut from train, see `shares_to_cut`.

    Raises:
        UserError: a class has no row in one of the three.
    """
    generator = np.random.default_rng(seed)
    places = np.zeros(len(labels), dtype=np.int64) if places is None else places
    parts = {name: np.flatnonzero(places == place) for place, name in enumerate(SPLITS)}
    rest = pool = parts["train"]
    shares = shares_to_cut(params, given)
    for name, share in shares.items():
        drawn = stratified_sample(labels[rest], min(round(share * len(pool)), len(rest)), generator)
        parts[name] = rest[drawn]
        rest = np.delete(rest, drawn)
    parts["train"] = rest
    if shares:
        shares["train"] = 1 - sum(shares.values())
    for name in SPLITS:
        _check_classes(labels, names, name, parts[name], _Cut(pool, shares.get(name), given, params.limit))
    return {name: parts[name] for name in SPLITS}


class _Cut(NamedTuple):
    """How a split is made: the pool of which it takes `share` (None if given), the given splits, the limit on all rows."""

    pool: np.ndarray
    share: float | None
    given: Collection[str]
    limit: int


def _check_classes(labels: np.ndarray, names: Sequence[str], split: str, indices: np.ndarray, cut: _Cut) -> None:
    """Refuse a split that lacks a class: its F1 would be 0 for want of rows, whatever the model does."""
    rows = np.bincount(labels[indices], minlength=len(names))
    if rows.all():
        return
    index = int(np.argmin(rows != 0))  # the first missing class
    raise UserError(_lack(names[index], np.sum(labels == index), np.sum(labels[cut.pool] == index), split, cut))


def _lack(label: str, rows: int, rows_of_pool: int, split: str, cut: _Cut) -> str:
    """Say that `split` has no row of class `label`, and what would help: rows there, or more rows to draw from."""
    limit = f" or raise data.limit ({cut.limit})" if cut.limit else ""
    start = f"class {label!r} has {rows} row(s) after cleaning"
    only_train = len(cut.given) == 1
    if cut.share is None or not (only_train or rows_of_pool):
        where = split if cut.share is None else "train"
        cutting = "" if where == split else f", of which {split} is cut"
        return (
            f"{start}, none of them in {where}{cutting}, which was given; give {where} rows of that class{limit}, "
            "or merge it with another class in every split"
        )
    enough = np.ceil(1 / cut.share)
    if only_train:
        return (
            f"{start}, none of which falls into {split} ({cut.share:.0%} of the data); "
            f"give it about {enough:.0f} rows or more{limit}, or merge it with another class"
        )
    return (
        f"{start}, {rows_of_pool} of them given for train, none of which falls into {split} ({cut.share:.0%} of train's rows); "
        f"give it about {enough:.0f} rows there or more{limit}, or give {split} too"
    )
