"""One labelled text."""

from typing import NamedTuple


class Row(NamedTuple):
    """A text, its class index, and the split that it was given for.

    The index is None if the text's rating takes no side. Rows that nobody assigned to a split are given for train, out of
    which the other splits are cut.
    """

    text: str
    label: int | None
    split: str = "train"
