"""Draw stratified samples of labelled texts: the subset for a quick look, and the three splits."""

from collections.abc import Collection

import numpy as np

from stages.classifier.splits import SPLITS
from stages.project.errors import UserError
from stages.project.schema import DataParams


def quotas(counts: np.ndarray, size: int, least: int = 0) -> np.ndarray:
    """Return how many of the n_k rows of each class a sample of `size` rows takes, so that every class keeps its share.

    Class k gives floor(size n_k / N) rows; the missing rows go, one each, to the classes with the largest remainders
    (Hamilton's method), so the sample has exactly `size` rows. Then a class with fewer than min(n_k, least) rows gets that
    many, and the others share what is left in the same way.

    Args:
        counts: n_k, shape (K,), with the sum N.
        size: 0..N.
        least: at most size / K.
    """
    floors = np.minimum(counts, least)
    raised = np.zeros(len(counts), dtype=bool)
    while True:
        others = np.where(raised, 0, counts)
        left = size - floors[raised].sum()
        # integers: a remainder must not depend on rounding
        result, remainders = np.divmod(left * others, max(others.sum(), 1))
        result[np.argsort(-remainders, kind="stable")[: left - result.sum()]] += 1
        result[raised] = floors[raised]
        if (result >= floors).all():
            return result
        raised |= result < floors


def stratified_sample(labels: np.ndarray, size: int, generator: np.random.Generator, least: int = 0) -> np.ndarray:
    """Return the sorted indices of `size` rows, drawn so that every class keeps its share, see `quotas`.

    scikit-learn's StratifiedShuffleSplit refuses a class with one row, a sample smaller than the number of classes, and a
    sample of all rows; and it distributes the remainder at random.

    Args:
        labels: class indices, shape (N,).
        size: 0..N.
        least: rows that a class keeps at least, if it has them.
    """
    classes, counts = np.unique(labels, return_counts=True)
    drawn = zip(classes, quotas(counts, size, least), strict=True)
    parts = [generator.permutation(np.flatnonzero(labels == k))[:quota] for k, quota in drawn]
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)


def limited(labels: np.ndarray, limit: int, seed: int, least: int = 0) -> np.ndarray:
    """Return the indices of all rows, or of a stratified sample of `limit` rows if 0 < `limit` < N."""
    if not limit or limit >= len(labels):
        return np.arange(len(labels))
    return stratified_sample(labels, limit, np.random.default_rng(seed), least)


def limited_main(
    labels: np.ndarray, places: np.ndarray, classes: int, params: DataParams, seed: int, given: Collection[str] = ("train",)
) -> np.ndarray:
    """Return the indices of the rows that `data.limit` leaves of the main data, sorted.

    The limit concerns the rows given for train, of which missing splits are cut; a given validation or test set stays whole.
    Every class keeps its share, or more, where otherwise a split would have no row of it.

    Args:
        labels: class indices, shape (N,).
        places: positions in `SPLITS` of the splits that the rows were given for, shape (N,).
        classes: number of classes; without the limit, every split has rows of each.
        given: the splits that the rows were given for.

    Raises:
        UserError: so few rows cannot give every split a row of every class.
    """
    pool = np.flatnonzero(places == SPLITS.index("train"))
    if not params.limit or params.limit >= len(pool):
        return np.arange(len(labels))
    counts = count_rows(labels, places, classes)
    needed = int(np.ceil(1 / min(shares_to_cut(params, given).values(), default=1)))
    for least in (0, *range(needed, min(params.limit // classes, int(counts[0].max())) + 1)):
        left = counts.copy()
        left[0] = quotas(counts[0], params.limit, least)
        if allotted(left, params, given).all():
            drawn = pool[limited(labels[pool], params.limit, seed, least)]
            return np.sort(np.concatenate([drawn, np.flatnonzero(places != SPLITS.index("train"))]))
    raise UserError(
        f"data.limit: {params.limit} rows are too few for {classes} classes; every split needs rows of every class, so about "
        f"{needed} rows per class: raise it to {classes * needed} or more, or set it to 0, which takes all rows"
    )


def count_rows(labels: np.ndarray, places: np.ndarray, classes: int) -> np.ndarray:
    """Return the number of rows by given split and class, shape (3, K)."""
    strata = places.astype(np.int64) * classes + labels  # int8 would overflow
    return np.bincount(strata, minlength=len(SPLITS) * classes).reshape(len(SPLITS), classes)


def shares_to_cut(params: DataParams, given: Collection[str]) -> dict[str, float]:
    """Return the share of train's rows that each missing split takes, the test set first.

    With f the fractions, a missing split s takes f_s / (1 - sum of f over the given ones among validation and test); so the
    missing splits and train keep the proportions that they have if nothing is given. With a test set given, for example,
    validation takes f_validation / (f_train + f_validation).
    """
    missing = [name for name in ("test", "validation") if name not in given]
    taken = sum(getattr(params, f"{name}_fraction") for name in ("test", "validation") if name in given)
    return {name: getattr(params, f"{name}_fraction") / (1 - taken) for name in missing}


def allotted(counts: np.ndarray, params: DataParams, given: Collection[str]) -> np.ndarray:
    """Return how many rows of each class `split` gives to each split, shape (3, K), of rows given as `counts`, shape (3, K)."""
    result = counts.copy()
    for name, share in shares_to_cut(params, given).items():
        size = _cut_size(share, int(counts[0].sum()), int(result[0].sum()))
        result[SPLITS.index(name)] = quotas(result[0], size)
        result[0] -= result[SPLITS.index(name)]
    return result


def _cut_size(share: float, pool: int, rest: int) -> int:
    return min(round(share * pool), rest)


def split(
    labels: np.ndarray,
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
    """
    generator = np.random.default_rng(seed)
    places = np.zeros(len(labels), dtype=np.int64) if places is None else places
    parts = {name: np.flatnonzero(places == place) for place, name in enumerate(SPLITS)}
    rest = pool = parts["train"]
    for name, share in shares_to_cut(params, given).items():
        drawn = stratified_sample(labels[rest], _cut_size(share, len(pool), len(rest)), generator)
        parts[name] = rest[drawn]
        rest = np.delete(rest, drawn)
    parts["train"] = rest
    return parts
