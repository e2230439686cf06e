"""Read the embedded texts, whose labels are the signs of mean ratings.

Each line is id, mean rating and text, separated by tabs, without quoting, terminated by CR LF (Hutto and Gilbert, ICWSM 2014).
"""

import html
import math
from pathlib import Path

from stages.prepare.rows import Row
from stages.project.errors import UserError
from stages.texts.encoding import read_text

LABELS = ["negative", "positive"]
MAIN_FILE = "movieReviewSnippets_GroundTruth.txt"
TRANSFER_FILES = {"products": "amazonReviewSnippets_GroundTruth.txt", "tweets": "tweets_GroundTruth.txt"}


def read_rated(path: Path, neutral_margin: float) -> list[Row]:
    """Return the rows of a file of rated texts: label 1 for a positive mean rating, 0 for a negative one.

    The label is None if |rating| < `neutral_margin` or the rating is 0. HTML entities left over from
    the web pages (`&amp;`, `&lt;3`) are replaced by their characters.

    Raises:
        UserError: a line does not have three fields, or its rating is not a number.
    """
    rows = []
    lines = read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        rating = _rating(fields[1]) if len(fields) == 3 else math.nan
        if math.isnan(rating):
            raise UserError(f"{path}: line {number} is {line[:60]!r}; expected id, mean rating and text, separated by tabs")
        takes_side = rating != 0 and abs(rating) >= neutral_margin
        rows.append(Row(html.unescape(fields[2]), int(rating > 0) if takes_side else None))
    return rows


def _rating(field: str) -> float:
    try:
        return float(field)
    except ValueError:
        return math.nan
