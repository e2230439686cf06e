"""Clean labelled texts before they are split, so that no text can stand in two splits.

In this order:

1. Unicode is composed (NFC) and every run of white space becomes one space; an empty text is dropped.
2. A text without a label, its rating too near to 0, is dropped: a near-tie.
3. Texts that are equal without regard to case are the same text (the embedded encoder does not see case). If a test set
   was given and has the text, the copies in train and validation are dropped, and the test set keeps all of its rows, also
   those that repeat or contradict one another: scores on a given test set can be compared with those of others only if it
   stays whole, and no choice is made by it.
4. Elsewhere, if the labels of one text differ, all its rows are dropped, for none can be trusted. Otherwise the first is
   kept: that of a given validation set if it has one, else that of train. Of the others, those in the split that keeps the
   text are duplicates.
5. A transfer set loses the texts that the main data has too.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from hashlib import blake2b

from stages.preparation.rows import Row


def normalise(text: str) -> str:
    """Return `text` in Unicode form NFC, with single spaces between words and none around."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def identity(text: str) -> str:
    """Return what two texts have in common if they count as the same text."""
    return normalise(text).casefold()


def clean(
    rows: Iterable[Row], main: AbstractSet[str] | None = None, splits: tuple[str, ...] = ("train",)
) -> tuple[list[Row], dict[str, int]]:
    """Return the rows that the rules above keep, and how many rows each rule dropped.

    Rows come in the order in which their texts are first seen. Every row is read once, and a text that is clean already is
    not copied.

    Args:
        main: for a transfer set, the `identity` of every text of the main data.
        splits: those that were given; of more than one, `in_other_split` counts what rules 3 and 4 drop from a split for a
            text that another keeps.
    """
    dropped = {"empty": 0, "near_tie": 0, "conflicting": 0, "duplicate": 0}
    dropped |= {"in_main": 0} if main is not None else {}
    dropped |= {"in_other_split": 0} if len(splits) > 1 else {}
    groups: dict[bytes, list[Row]] = defaultdict(list)
    for row in rows:
        text = normalise(row.text)
        if not text:
            dropped["empty"] += 1
        elif row.label is None:
            dropped["near_tie"] += 1
        else:
            groups[_key(text)].append(row if text == row.text else row._replace(text=text))
    kept = []
    for group in groups.values():
        stay = _stay(group, dropped)
        if stay and main is not None and identity(stay[0].text) in main:
            dropped["in_main"] += 1
        else:
            kept += stay
    return kept, dropped


def _stay(group: list[Row], dropped: dict[str, int]) -> list[Row]:
    """Return which rows of one text stay, and count the others in `dropped`."""
    if len(group) == 1:
        return group
    tests = [row for row in group if row.split == "test"]
    if not tests and len({row.label for row in group}) > 1:
        dropped["conflicting"] += len(group)
        return []
    home = tests or [row for row in group if row.split == "validation"] or group
    if len(home) < len(group):
        dropped["in_other_split"] += len(group) - len(home)
    if tests:
        return tests
    dropped["duplicate"] += len(home) - 1
    return home[:1]


def _key(text: str) -> bytes:
    """A digest of a normalised text's identity: as good as the text to tell texts apart, and it holds no second copy."""
    return blake2b(identity(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
