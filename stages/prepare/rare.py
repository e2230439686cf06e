"""Classes with too few rows: all of them are named in one message, or dropped, or merged into one class.

A class is rare if it has fewer rows than data.rare_class_min after cleaning, or if a split would have no row of it: its F1
would be 0 for want of rows, whatever the model does.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from stages.classifier.splits import SPLITS
from stages.prepare.splitting import allotted, shares_to_cut
from stages.project.errors import UserError
from stages.project.schema import DataParams
from stages.texts.columns import short

MERGED = "other"
SHOWN = 20  # classes in an error
TOLD = 10  # and in a warning


class Classes(NamedTuple):
    """The classes to learn.

    Attributes:
        names: their names.
        position: the new index of each class found, -1 if it is dropped, shape (K,).
        rare: the classes that were dropped or merged, and their rows.
    """

    names: list[str]
    position: np.ndarray
    rare: dict[str, int]


def choose_classes(
    names: Sequence[str], counts: np.ndarray, params: DataParams, given: Collection[str] = ("train",), cause: str = ""
) -> Classes:
    """Return the classes to learn, as data.rare_classes says: error, drop or merge.

    Dropping or merging a class changes how many rows a split takes, so the search goes on until no class that is left is rare.
    Merged classes become the class `other`, the last one; if there is one of that name, they join it.

    Args:
        names: the classes found.
        counts: rows by given split and class after cleaning, shape (3, K).
        given: the splits that the rows were given for.
        cause: why there are so few, if that is known, for messages.

    Raises:
        UserError: there are rare classes and data.rare_classes is error; or fewer than two classes would be left; or the merged
            ones are too few even together. The message names all of them.
    """
    rare = _rare(counts, params, given)
    facts = _facts(names, counts, rare, params, given) if rare.any() else ""
    facts += f". {cause}" if facts and cause else ""
    if facts and params.rare_classes == "error":
        raise UserError(
            f"{facts}. Add rows, or set data.rare_classes to drop, which leaves such classes out, or to merge, which makes them "
            f"one class, {MERGED!r}"
        )
    while True:
        classes = _without(rare, names, counts, params.rare_classes)
        regrouped = np.zeros((len(SPLITS), len(classes.names) + 1), dtype=np.int64)  # the last column: dropped
        np.add.at(regrouped.T, classes.position, counts.T)
        still = _rare(regrouped[:, :-1], params, given)
        found = ~rare
        found[found] = still[classes.position[found]]
        if not found.any():
            break
        rare |= found
    if len(classes.names) < 2:
        left = ", ".join(map(short, classes.names)) or "no class"
        raise UserError(f"data.rare_classes: {params.rare_classes} leaves {left}, and two classes or more are needed: {facts}")
    if still.any():
        rows = int(regrouped[:, :-1][:, still].sum())
        raise UserError(
            f"data.rare_classes: merge gives the class {MERGED!r} only {rows} row(s); raise data.rare_class_min "
            f"({params.rare_class_min}), so that more classes join it, or set data.rare_classes to drop: {facts}"
        )
    return classes


def _rare(counts: np.ndarray, params: DataParams, given: Collection[str]) -> np.ndarray:
    """Whether each class is rare, shape (K,)."""
    return (counts.sum(axis=0) < params.rare_class_min) | (allotted(counts, params, given) == 0).any(axis=0)


def _without(rare: np.ndarray, names: Sequence[str], counts: np.ndarray, action: str) -> Classes:
    """Drop or merge the classes that are `rare`, shape (K,)."""
    kept = [name for name, is_rare in zip(names, rare, strict=True) if not is_rare]
    joins = action == "merge" and bool(rare.any())
    left = [*kept, MERGED] if joins and MERGED not in kept else kept
    place = left.index(MERGED) if joins else -1
    position = [place if is_rare else left.index(name) for name, is_rare in zip(names, rare, strict=True)]
    found = {name: int(rows) for name, rows, is_rare in zip(names, counts.sum(axis=0), rare, strict=True) if is_rare}
    return Classes(left, np.array(position), found)


def rare_warning(classes: Classes, action: str, test_given: bool) -> str:
    """Say which classes were dropped or merged."""
    shown = ", ".join(f"{short(name)} ({rows:,})" for name, rows in list(classes.rare.items())[:TOLD])
    more = ", ..." if len(classes.rare) > TOLD else ""
    done = f"merged into the class {MERGED!r}" if action == "merge" else "dropped"
    test = ", also in the given test set, so scores on it cannot be compared with published ones" if test_given else ""
    return (
        f"{len(classes.rare)} rare class(es) with {sum(classes.rare.values()):,} row(s) were {done} "
        f"(data.rare_classes{test}): {shown}{more}."
    )


def _facts(names: Sequence[str], counts: np.ndarray, rare: np.ndarray, params: DataParams, given: Collection[str]) -> str:
    """Name the rare classes with their rows and the splits that lack them, and say why that matters."""
    have = allotted(counts, params, given)
    rows = counts.sum(axis=0)
    groups: dict[str, list[str]] = {}
    for k in np.flatnonzero(rare)[:SHOWN]:
        lacking = " or ".join(split for split, number in zip(SPLITS, have[:, k], strict=True) if not number)
        groups.setdefault(f"none of them in {lacking}" if lacking and rows[k] else "", []).append(
            f"{short(names[k])} ({rows[k]:,})"
        )
    listed = "; ".join(", ".join([*shown, where] if where else shown) for where, shown in groups.items())
    more = "; ..." if rare.sum() > SHOWN else ""
    start = f"{rare.sum()} of {len(names)} classes have too few rows after cleaning: {listed}{more}"
    return f"{start}. {_reason(have, rare, params, given)}"


def _reason(have: np.ndarray, rare: np.ndarray, params: DataParams, given: Collection[str]) -> str:
    lacking = [split for split, rows in zip(SPLITS, have[:, rare], strict=True) if not rows.all()]
    shares = shares_to_cut(params, given)
    reasons = [f"{split} was given" for split in lacking if split in given and (split != "train" or len(given) > 1)]
    if cut := [split for split in lacking if split in shares]:
        name = min(cut, key=shares.__getitem__)
        whole = "the data" if len(given) == 1 else "train's rows"
        rows = int(np.ceil(1 / shares[name]))
        reasons.append(f"{name} takes {shares[name]:.0%} of {whole}, so give each class about {rows} rows or more")
    if not lacking:
        reasons.append(f"data.rare_class_min asks for {params.rare_class_min}")
    for split in given:
        place = SPLITS.index(split)
        if split != "train" and not have[0, have[place] > 0].any():
            reasons.append(f"no label of {split} is one of train: are both labelled alike?")
    return f"Every split needs rows of every class ({'; '.join(reasons)})"
