"""One labelled text."""

from typing import NamedTuple


class Row(NamedTuple):
    """A text, its class index, and the split that it was given for.

    The index is None if the rating is too close to 0. Rows without an assigned split are given for train, from which the
    other splits are cut.
    """

    text: str
    label: int | None
    split: str = "train"
