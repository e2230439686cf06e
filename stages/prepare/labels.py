"""Read a label column as a person would: refuse what cannot be classes, and name what probably was not meant.

A label is never changed beyond its form (Unicode composed, single spaces), because a guess could join two classes that are
different. What looks like a mistake is said in a sentence, with the line of pandas that repairs the file.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.project.errors import UserError
from stages.texts.columns import short

MANY_CLASSES = 20
LONG_NAME = 100  # characters: class names are shorter
NUMBER = re.compile(r"[+-]?(\d{1,300}([.,]\d{0,300})?|[.,]\d{1,300})([eE][+-]?\d{1,3})?\s?%?")
INTEGER = re.compile(r"[+-]?\d{1,300}([.,]0{1,300})?\s?%?")  # pandas writes 3.0 if a column has an empty cell
BRACKETS = re.compile(r"[\[({].*[\])}]", re.DOTALL)
# UTF-8 that was read as Windows-1252 or Latin-1, or bytes that no encoding explained
GARBLED = re.compile("\u00c3[\u0080-\u00bf\u201a-\u2122]|\u00c2[\u00a0-\u00bf]|\u00e2\u20ac|\ufffd")
LOOK_ALIKE = str.maketrans("\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456", "aeopcyxi")  # Cyrillic and Latin
MISSING = {"", "#n/a", "n/a", "na", "nan", "none", "null", "nil", "-", "--", "?", ".", "<na>", "nat"}


def check_labels(path: Path, key: str, column: str, names: Sequence[str], rows: int, texts: int) -> None:
    """Refuse a column that cannot be that of the classes.

    Args:
        path: the file, for messages.
        key: the parameter that names the column.
        column: its name.
        names: the different labels.
        rows: number of rows.
        texts: number of different texts.

    Raises:
        UserError: there are fewer than two classes; more labels than texts; numbers to be predicted, that is more than
            `MANY_CLASSES` different fractions, or fractions with fewer than three rows each; or more than `MANY_CLASSES`
            different labels with fewer than three rows each.
    """
    start = f"{path}: column {column!r} has"
    if len(names) < 2:
        raise UserError(f"{start} {list(names) or 'no labels'}; two classes or more are needed")
    if texts < 2:
        raise UserError(f"{start} labels for one text only, which all rows have; is the text_column beside {key} the right one?")
    few = rows < 3 * len(names)  # three splits need at least three rows per class
    examples = ", ".join(map(short, names[:3]))
    if texts < len(names):
        raise UserError(
            f"{start} {len(names):,} different labels, such as {examples}, for {texts:,} different texts: "
            f"the columns of texts and labels seem to be swapped; set {key} and the text_column beside it"
        )
    numbers = [name for name in names if NUMBER.fullmatch(name)]
    fractions = [name for name in numbers if not INTEGER.fullmatch(name)]
    if len(numbers) >= 0.9 * len(names) and len(names) > 2 and fractions and (len(numbers) > MANY_CLASSES or few):
        shown = ", ".join(map(short, fractions[:3]))
        raise UserError(
            f"{start} {len(numbers):,} different numbers in {rows:,} rows, such as {shown}: that looks like a number to be "
            f"predicted, and this project predicts classes; set {key} to another column, or bin the numbers into classes "
            f"first, with pandas: {binning(column)}"
        )
    if len(names) > MANY_CLASSES and few:
        number = f" or a number to be predicted (if so, bin it first: {binning(column)})" if len(numbers) == len(names) else ""
        raise UserError(
            f"{start} {len(names):,} different values in {rows:,} rows, such as {examples}: "
            f"that looks like an identifier{number}, not a class; set {key}"
        )


def binning(column: str) -> str:
    """The line of pandas that turns numbers into three classes of equal width."""
    return f'df[{column!r}] = pd.cut(df[{column!r}], 3, labels=["low", "middle", "high"])'


def label_warnings(names: Sequence[str], counts: np.ndarray, column: str) -> list[str]:
    """Return a sentence for each thing in the labels that probably was not meant.

    Args:
        names: class names.
        counts: rows of each class, shape (K,).
        column: name of the label column.
    """
    rows = dict(zip(names, map(int, counts), strict=True))
    sentences = [*_spellings(rows, column), *_lists(rows), *_numbers(rows, column)]
    if missing := [name for name in names if name.casefold() in MISSING]:
        sentences.append(f"{_listed(missing, rows)} look(s) like a missing label, and is trained as a class.")
    if column in names:
        sentences.append(f"The class {column!r} has the name of the label column: is a header line repeated in the file?")
    if garbled := [name for name in names if GARBLED.search(name)]:
        sentences.append(f"{_listed(garbled, rows)} contain(s) characters of a wrong encoding: is data.csv.encoding right?")
    if long := [name for name in names if len(name) > LONG_NAME]:
        sentences.append(f"{len(long)} class name(s) are long texts, such as {short(long[0])}: is {column!r} the label column?")
    return sentences


def _spellings(rows: dict[str, int], column: str) -> list[str]:
    """Classes whose names differ only in case, spaces, hyphens, accents, width, quotes, alphabet, or how a number is written."""
    groups = defaultdict(list)
    for name in rows:
        groups[_skeleton(name)].append(name)
    alike = [sorted(group, key=lambda name: -rows[name]) for group in groups.values() if len(group) > 1]
    if not alike:
        return []
    mapping = {name: group[0] for group in alike for name in group[1:]}
    shown = "; ".join(_listed(group, rows) for group in alike[:5]) + ("; ..." if len(alike) > 5 else "")
    kept = dict(list(mapping.items())[:10])
    more = f" (and {len(mapping) - len(kept)} more)" if len(mapping) > len(kept) else ""
    line = f"df[{column!r}] = df[{column!r}].str.strip().replace({kept!r})"
    return [f"Class names that differ only in spelling are different classes: {shown}. To merge them, with pandas: {line}{more}"]


def _skeleton(name: str) -> str:
    """What spellings of one name have in common."""
    if NUMBER.fullmatch(name):
        return repr(float(name.rstrip(" %").replace(",", ".")))
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    letters = "".join(sign for sign in plain if unicodedata.category(sign) not in ("Cf", "Mn"))
    # a hyphen between words is a space, one before a digit is a sign
    return re.sub(r"[\s_]+|(?<=\w)-(?=[^\W\d])", "", letters.translate(LOOK_ALIKE)).strip("'\"`.,;:!") or name


def _lists(rows: dict[str, int]) -> list[str]:
    """Labels that look like several, as in data with more than one label per text.

    A separator alone is no proof: `sci-fi; fantasy` may be one class. It is taken for a list if its parts are classes or
    parts of other labels too; those of a comma or a slash, which names and paths contain (`Lima, Peru`), only if a part
    is a class or stands at different positions.
    """
    bracketed = [name for name in rows if BRACKETS.fullmatch(name)]
    found = bracketed if any(re.search(r"[,;'\"]", name) for name in bracketed) else []
    for separator in ";|,/+&":
        parts = {name: [part.strip().casefold() for part in name.split(separator)] for name in rows if separator in name}
        parts = {name: split for name, split in parts.items() if all(split)}
        singles = {name.casefold() for name in rows}
        uses = Counter(part for split in parts.values() for part in set(split))
        places = defaultdict(set)
        for split in parts.values():
            for place, part in enumerate(split):
                places[part].add(place)
        for name, split in parts.items():
            again = any(part in singles or len(places[part]) > 1 or (separator in ";|" and uses[part] > 1) for part in split)
            if again and name not in found:
                found.append(name)
    if not found:
        return []
    count = sum(rows[name] for name in found)
    return [
        f"{count:,} of {sum(rows.values()):,} rows have labels that look like lists, such as {short(found[0])}: each such label "
        "is trained as one class of its own; several labels per text are not supported, keep one per row."
    ]


def _numbers(rows: dict[str, int], column: str) -> list[str]:
    """Labels that are numbers on a scale rather than names."""
    if not all(NUMBER.fullmatch(name) for name in rows):
        return []
    whole = all(INTEGER.fullmatch(name) for name in rows)
    if whole and len(rows) <= MANY_CLASSES:
        return []
    return [
        f"The {len(rows)} labels are numbers, such as {short(next(iter(rows)))}, and are trained as that many classes without an "
        f"order; if they are a scale, bin them first, with pandas: {binning(column)}"
    ]


def _listed(names: Sequence[str], rows: dict[str, int]) -> str:
    shown = ", ".join(f"{short(name)} ({rows[name]:,} rows)" for name in names[:5])
    return shown + (", ..." if len(names) > 5 else "")
