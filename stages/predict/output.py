"""Write predictions as an aligned table, as CSV, or as JSON lines."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from stages.project.errors import UserError

if TYPE_CHECKING:  # it imports the libraries, which take seconds to load
    from stages.predict.classify import Prediction

DIGITS = 6
KEPT_WIDTH = 12  # characters of a kept column in a table
Row = tuple["Prediction", Sequence[Any]]  # and the values of the kept columns
Formatter = Callable[[Iterable[Row], Sequence[str], Sequence[str], int], Iterator[str]]


def csv_lines(rows: Iterable[Row], names: Sequence[str], kept: Sequence[str], width: int) -> Iterator[str]:
    """Lines of CSV with the kept columns, then text, label and, for each class, its probability p_{name}."""
    writer = csv.writer(_Line(), lineterminator="\n")
    yield writer.writerow([*kept, "text", "label", *(f"p_{name}" for name in names)])
    for (text, label, probabilities), values in rows:
        yield writer.writerow([*map(_as_field, values), text, label, *(f"{p:.{DIGITS}f}" for p in probabilities.tolist())])


def jsonl_lines(rows: Iterable[Row], names: Sequence[str], kept: Sequence[str], width: int) -> Iterator[str]:
    """One JSON object per line: the kept columns, text, label, and the probabilities by class name."""
    for (text, label, probabilities), values in rows:
        by_name = {name: round(p, DIGITS) for name, p in zip(names, probabilities.tolist(), strict=True)}
        taken = {name: None if value != value else value for name, value in zip(kept, values, strict=True)}  # NaN is no JSON
        line = {**taken, "text": text, "label": label, "probabilities": by_name}
        yield json.dumps(line, ensure_ascii=False, default=str) + "\n"


def table_lines(rows: Iterable[Row], names: Sequence[str], kept: Sequence[str], width: int) -> Iterator[str]:
    """Aligned columns of `width` characters: label, probability of each class, kept columns, and the text as far as it fits."""
    shown = [_printable(name) for name in names]
    first = max(map(len, [*shown, "label"]))
    columns = [max(len(name), DIGITS + 2) for name in shown]
    room = max(width - first - sum(columns) - 2 * len(columns) - (KEPT_WIDTH + 2) * len(kept) - 2, 20)

    def line(label: str, probabilities: Iterable[str], values: Iterable[str], text: str) -> str:
        fields = (_cut(value, KEPT_WIDTH).ljust(KEPT_WIDTH) for value in values)
        return "  ".join([label.ljust(first), *map(str.rjust, probabilities, columns), *fields, text]) + "\n"

    yield line("label", shown, kept, "text")
    for (text, label, probabilities), values in rows:
        numbers = (f"{p:.{DIGITS}f}" for p in probabilities.tolist())
        yield line(_printable(label), numbers, map(_as_field, values), _cut(text, room))


def output_names(kept: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Return the names of the kept columns in the output: `input_` stands before those that it has already."""
    used = {"text", "label", "probabilities", *(f"p_{name}" for name in classes)}
    found = []
    for name in kept:
        while name in used:
            name = f"input_{name}"
        used.add(name)
        found.append(name)
    return found


def _as_field(value: Any) -> str:
    """Return a value of a table as a field of CSV: "" for a missing one, JSON for lists and objects."""
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str).strip('"')


def _cut(text: str, room: int) -> str:
    """Return as much of `text` as fits into `room` characters."""
    text = _printable(text[: room + 1])
    return text if len(text) <= room else text[: room - 3] + "..."


FORMATS: dict[str, Formatter] = {"table": table_lines, "csv": csv_lines, "jsonl": jsonl_lines}


@contextmanager
def opened_output(path: Path | None) -> Iterator[TextIO]:
    """Yield a stream of UTF-8 text with `\\n` line ends: standard output, or a file that replaces `path` when it is complete.

    Missing parent folders are created. After an exception `path` is what it was, and the new folders are removed.

    Raises:
        UserError: before anything is yielded, if `path` is a folder, one of its parents is a file, or it may not be written.
    """
    if path is None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    with _explained(path):
        if path.is_dir():
            raise UserError(f"{path}: a folder; --output needs the name of a file")
        replaced = path.is_file() or not path.exists()  # a device or a pipe is written to directly
        place = path.with_name(f".{path.name}.tmp") if replaced else path
        new = [folder for folder in path.parents if not folder.exists()]
    try:
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = place.open("w", encoding="utf-8", newline="\n")
        try:
            with stream:
                yield stream
            if replaced:
                os.replace(place, path)
        finally:
            if replaced:
                place.unlink(missing_ok=True)
    finally:
        for folder in new:  # the innermost first; a folder that is not empty stays
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system about `path` into a `UserError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            file = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), path.parent)
            reason = f"{file} is not a folder"
        raise UserError(f"{path}: cannot be written ({reason}); give --output a file in a folder that you may write to") from None


class _Line:
    """A target for the csv module's writer that returns each line."""

    def write(self, line: str) -> str:
        return line


def _printable(text: str) -> str:
    """`text` with control characters and others that a terminal does not show as escapes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
