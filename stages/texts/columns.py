"""Find columns by name, in the header of a CSV file, the schema of a Parquet file or the keys of JSON objects."""

from collections.abc import Sequence

from stages.project.errors import UserError
from stages.texts.normal_form import normalise


def find_columns(header: Sequence[str], columns: Sequence[str]) -> list[int] | None:
    """Return the positions of `columns` in `header`, or None if one is missing.

    A name that is not there as it is written is looked for without regard to white space around it and to how Unicode
    composes its accents, which nobody sees.

    Raises:
        UserError: several columns have the name of one of them; the message lacks the name of the file.
    """
    places = [_position(header, column) for column in columns]
    return None if None in places else [place for place in places if place is not None]


def _position(header: Sequence[str], column: str) -> int | None:
    places = [place for place, name in enumerate(header) if name == column]
    places = places or [place for place, name in enumerate(header) if normalise(name) == normalise(column)]
    if len(places) > 1:
        raise UserError(f"{len(places)} columns are called {column!r}; give each a different name")
    return places[0] if places else None


class MissingColumn(UserError):
    """The header of a file lacks `column`, the first of several that is not there."""

    def __init__(self, name: str, header: Sequence[str], columns: Sequence[str], advice: str):
        self.column = next(column for column in columns if _position(header, column) is None)
        shown = f"[{', '.join(map(short, header[:20]))}{', ...' if len(header) > 20 else ''}]"
        if not header:
            super().__init__(f"{name}: is blank, expected columns {', '.join(map(repr, columns))}")
            return
        super().__init__(f"{name}: no column {self.column!r}; the columns are {shown}; {advice}")


def respelled(header: Sequence[str], columns: Sequence[str], places: Sequence[int]) -> str | None:
    """Return what to tell about columns whose names are not written as asked for, or None."""
    other = [(header[place], column) for place, column in zip(places, columns, strict=True) if header[place] != column]
    return ", ".join(f"the column {name!r} is read as {column!r}" for name, column in other) or None


def short(text: str) -> str:
    """Return `text` in quotes, cut after 40 characters."""
    return repr(text if len(text) <= 40 else text[:40] + "...")
