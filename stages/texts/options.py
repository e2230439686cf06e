"""How a table is read, under the names that training (data.csv.delimiter) and prediction (--delimiter) share."""

from collections.abc import Callable
from dataclasses import dataclass

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@dataclass(frozen=True)
class Options:
    """Delimiter and encoding of a text file.

    Attributes:
        delimiter: a key of `DELIMITERS`, the character itself, or auto: the one with which the header has the columns.
        quotes: double, if a field in double quotes may contain delimiters and line breaks; none, if a quote is a sign.
        encoding: of Python's codecs, or auto: what a byte order mark says, and UTF-8 without one.
        prefix: what stands before the names of the options in messages.
        advice: what to do if a column is missing, for messages.
        tell: prints what was guessed.
    """

    delimiter: str = "auto"
    encoding: str = "auto"
    quotes: str = "double"
    prefix: str = "data.csv."
    advice: str = "set data.csv.text_column, data.csv.label_column and, if there is one, data.csv.split_column to some of them"
    tell: Callable[[str], object] = print


def character(delimiter: str) -> str:
    """Return the character that separates fields."""
    return DELIMITERS.get(delimiter, delimiter)


def word(sign: str) -> str:
    """Return the name of a delimiter, which a shell and `-S` take without quotes."""
    return next((name for name, other in DELIMITERS.items() if other == sign), sign)
