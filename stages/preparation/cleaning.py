"""Clean labelled texts before they are split, so that no text can stand in two splits.

In this order:

1. Unicode is composed (NFC) and every run of white space becomes one space; an empty text is dropped.
2. A text without a label, its rating too near to 0, is dropped: a near-tie.
3. Texts that are equal without regard to case are duplicates (the embedded encoder does not see case): the first is
   kept. If their labels differ, all are dropped, for none can be trusted.
4. A transfer set loses the texts that the main data has too.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from stages.preparation.rows import Row


def normalise(text: str) -> str:
    """Return `text` in Unicode form NFC, with single spaces between words and none around."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def identity(text: str) -> str:
    """Return what two texts have in common if they count as the same text."""
    return normalise(text).casefold()


def clean(rows: Iterable[Row], main: AbstractSet[str] | None = None) -> tuple[list[Row], dict[str, int]]:
    """Return the rows that the rules above keep, in their order, and how many rows each rule dropped.

    Args:
        main: for a transfer set, the `identity` of every text of the main data.
    """
    dropped = {"empty": 0, "near_tie": 0, "conflicting": 0, "duplicate": 0}
    if main is not None:
        dropped["in_main"] = 0
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        text = normalise(row.text)
        if not text:
            dropped["empty"] += 1
        elif row.label is None:
            dropped["near_tie"] += 1
        else:
            groups[identity(text)].append(Row(text, row.label))
    kept = []
    for key, group in groups.items():
        if len({row.label for row in group}) > 1:
            dropped["conflicting"] += len(group)
            continue
        dropped["duplicate"] += len(group) - 1
        if main is not None and key in main:
            dropped["in_main"] += 1
        else:
            kept.append(group[0])
    return kept, dropped
