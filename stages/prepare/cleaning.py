"""Clean labelled texts before they are split, so that no text is in two splits.

In this order:

1. Unicode is composed (NFC) and every run of white space becomes one space; an empty text is dropped.
2. A text without a label is dropped: a near-tie, whose rating is too close to 0.
3. Texts that differ only in case are the same text (the embedded encoder is uncased). If a given test set has the text,
   the copies in train and validation are dropped, and the test set keeps all of its rows that have a text, even those that
   repeat or contradict each other: scores on a given test set are comparable with published ones only if it stays complete,
   and nothing is chosen by it.
4. Elsewhere, if the labels of one text differ, all its rows are dropped, because none can be trusted. Otherwise the first is
   kept: that of a given validation set if it has one, else that of train. Further rows in the same split are duplicates.
5. Texts that are also in the main data are dropped from a transfer set.

Classes with too few rows are then dropped or merged (rare.py), and `data.limit`, if it is not 0, samples what is left of the
rows given for train (splitting.py).
"""

import numpy as np

from stages.classifier.splits import SPLITS


def choose(
    labels: np.ndarray, places: np.ndarray, keys: np.ndarray, main: np.ndarray | None = None, splits: tuple[str, ...] = ("train",)
) -> tuple[np.ndarray, dict[str, int]]:
    """Return the indices of the rows that rules 3 to 5 keep, ascending, and how many rows each rule dropped.

    Args:
        labels: class indices, shape (N,).
        places: positions in `SPLITS` of the splits that the rows were given for, shape (N,).
        keys: equal for texts that count as the same, shape (N,).
        main: for a transfer set, the keys of all texts of the main data.
        splits: those that were given; if more than one, `in_other_split` counts the rows that rules 3 and 4 drop because
            another split keeps the text.
    """
    groups = np.unique(keys, return_inverse=True)[1].astype(np.int32)  # 4 bytes: these arrays dominate prepare's memory
    tested = _any(groups, places == SPLITS.index("test"))[groups]  # per row: whether a test row has the same text
    conflicting = ~tested & _differ(groups, labels)[groups]
    validated = _any(groups, places == SPLITS.index("validation"))[groups]
    home = np.full(len(keys), SPLITS.index("train"), dtype=np.int8)
    home[validated] = SPLITS.index("validation")
    home[tested] = SPLITS.index("test")
    elsewhere = ~conflicting & (places != home)
    kept = np.flatnonzero(~conflicting & ~elsewhere)
    once = np.sort(np.concatenate([kept[tested[kept]], _firsts(kept[~tested[kept]], groups)]))
    dropped = {"conflicting": int(conflicting.sum()), "duplicate": len(kept) - len(once)}
    if main is not None:
        new = once[~np.isin(keys[once], main)]
        dropped["in_main"] = len(once) - len(new)
        once = new
    if len(splits) > 1:
        dropped["in_other_split"] = int(elsewhere.sum())
    return once, dropped


def _any(groups: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Return for each group whether any of its rows has the flag."""
    found = np.zeros(groups.max(initial=0) + 1, dtype=bool)
    found[groups[flags]] = True
    return found


def _differ(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each group whether its rows have different labels."""
    first = np.zeros(groups.max(initial=0) + 1, dtype=labels.dtype)
    first[groups] = labels  # that of any one row
    return _any(groups, labels != first[groups])


def _firsts(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the first of `rows` in each group."""
    return rows[np.unique(groups[rows], return_index=True)[1]]
