"""Class names as labels: a name can be any text, and a label is one short line that no other class has."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib.ft2font import FT2Font

from stages.presentation.text import one_line

NUMBERED = re.compile(r"\[\d+\]$")  # a label that gives the number of its class
_FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")  # that of all figures, see `house_style`


def short_labels(names: Sequence[str], longest: int) -> list[str]:
    """Return a label of at most `longest` characters (12 or more) for each of the different `names`; no two are equal.

    A long name is cut at the end; where that makes it equal to another, in the middle; where that does too, at the start,
    so that it begins where it differs. What then is still equal (names that differ in spaces) gets the number of its class.
    """
    whole = [one_line(name) for name in names]
    labels = [_cut_end(name, longest) for name in whole]
    for again in (_cut_middle, _cut_start):
        labels = _shortened_again(whole, labels, again, longest)
    counts = Counter(labels)
    numbered = [f"{_cut_end(label, longest - 6)} [{k}]" if counts[label] > 1 else label for k, label in enumerate(labels)]
    return numbered if len(set(numbered)) == len(numbered) else [f"[{k}]" for k in range(len(names))]


def figure_labels(names: Sequence[str], longest: int) -> list[str]:
    """Return `short_labels` for a figure; a name that its font cannot draw becomes the number of its class: `[3]`.

    matplotlib brings no font with Chinese, and a font of the machine would make other bytes on another machine.
    """
    labels = short_labels(names, longest)
    drawn = [label if can_draw(label) else f"[{k}]" for k, label in enumerate(labels)]
    return drawn if len(set(drawn)) == len(drawn) else [f"[{k}]" for k in range(len(names))]


def number_key(names: Sequence[str], longest: int) -> str:
    """Return what the numbers in `figure_labels(names, longest)` stand for, a line each; "" if there are none."""
    labels = figure_labels(names, longest)
    return "\n".join(f"[{k}] {one_line(name)}" for k, name in enumerate(names) if NUMBERED.search(labels[k]))


def can_draw(text: str) -> bool:
    """Whether the font of the figures has every character of `text`."""
    return all(ord(c) in _characters() for c in text)


@cache
def _characters() -> set[int]:
    return set(FT2Font(str(_FONT)).get_charmap())


def _shortened_again(whole: list[str], labels: list[str], cut: Callable[[str, int, int], str], longest: int) -> list[str]:
    """Replace labels that several names share, by `cut(name, longest, length of what these names have in common)`."""
    groups: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(label, []).append(place)
    labels = list(labels)
    for places in groups.values():
        if len(places) > 1:
            common = _common_start([whole[place] for place in places])
            for place in places:
                labels[place] = cut(whole[place], longest, common)
    return labels


def _common_start(texts: Sequence[str]) -> int:
    differing = (place for place, characters in enumerate(zip(*texts, strict=False)) if len(set(characters)) > 1)
    return next(differing, min(map(len, texts)))


def _cut_end(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


def _cut_middle(name: str, longest: int, common: int) -> str:
    if len(name) <= longest:
        return name
    room = longest // 3
    start, end = name[:room], name[len(name) - (longest - room - 1) :]
    # no half words, where there are spaces to cut at
    return start[: start.rfind(" ") if " " in start else room] + "…" + end[end.find(" ") + 1 :]


def _cut_start(name: str, longest: int, common: int) -> str:
    start = max(name.rfind(" ", 0, common) + 1, common - longest // 3)  # from the start of the word that differs
    return name if len(name) <= longest or start == 0 else _cut_end("…" + name[start:], longest)
