"""Clean labelled texts before they are split, so that no text can stand in two splits.

In this order:

1. Unicode is composed (NFC) and every run of white space becomes one space; an empty text is dropped.
2. A text without a label, its rating too near to 0, is dropped: a near-tie.
3. Texts that are equal without regard to case are the same text (the embedded encoder does not see case). If a test set
   was given and has the text, the copies in train and validation are dropped, and the test set keeps all of its rows that
   have a text, also those that repeat or contradict one another: scores on a given test set can be compared with those of
   others only if it stays whole, and no choice is made by it.
4. Elsewhere, if the labels of one text differ, all its rows are dropped, for none can be trusted. Otherwise the first is
   kept: that of a given validation set if it has one, else that of train. Of the others, those in the split that keeps the
   text are duplicates.
5. A transfer set loses the texts that the main data has too.

`data.limit`, if it is not 0, then takes a sample of what is left, also of a given test set: scores of such a quick look
cannot be compared with those of others.
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
        splits: those that were given; of more than one, `in_other_split` counts what rules 3 and 4 drop from a split for a
            text that another keeps.
    """
    groups = np.unique(keys, return_inverse=True)[1].astype(np.int32)  # 4 bytes: of these arrays prepare's memory is made
    tested = _any(groups, places == SPLITS.index("test"))[groups]  # of each row: whether a test row has its text
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
    """Of each group, whether one of its rows has the flag."""
    found = np.zeros(groups.max(initial=0) + 1, dtype=bool)
    found[groups[flags]] = True
    return found


def _differ(groups: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each group, whether its rows have different labels."""
    first = np.zeros(groups.max(initial=0) + 1, dtype=labels.dtype)
    first[groups] = labels  # some row's
    return _any(groups, labels != first[groups])


def _firsts(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Of the `rows`, the first of each group."""
    return rows[np.unique(groups[rows], return_index=True)[1]]
