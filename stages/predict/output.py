"""Write predictions as an aligned table, as CSV, or as JSON lines."""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from stages.project.errors import UserError

if TYPE_CHECKING:  # it imports the libraries, which take seconds to load
    from stages.predict.classify import Prediction

DIGITS = 6
Formatter = Callable[[Iterable["Prediction"], Sequence[str], int], Iterator[str]]


def csv_lines(predictions: Iterable["Prediction"], names: Sequence[str], width: int) -> Iterator[str]:
    """Lines of CSV with the columns text, label and, for each class, its probability p_{name}."""
    writer = csv.writer(_Line(), lineterminator="\n")
    yield writer.writerow(["text", "label", *(f"p_{name}" for name in names)])
    for text, label, probabilities in predictions:
        yield writer.writerow([text, label, *(f"{p:.{DIGITS}f}" for p in probabilities.tolist())])


def jsonl_lines(predictions: Iterable["Prediction"], names: Sequence[str], width: int) -> Iterator[str]:
    """One JSON object per line: text, label, and the probabilities by class name."""
    for text, label, probabilities in predictions:
        by_name = {name: round(p, DIGITS) for name, p in zip(names, probabilities.tolist(), strict=True)}
        yield json.dumps({"text": text, "label": label, "probabilities": by_name}, ensure_ascii=False) + "\n"


def table_lines(predictions: Iterable["Prediction"], names: Sequence[str], width: int) -> Iterator[str]:
    """Aligned columns: label, the probability of each class, and as much of the text as fits into `width` characters."""
    shown = [_printable(name) for name in names]
    first = max(map(len, [*shown, "label"]))
    columns = [max(len(name), DIGITS + 2) for name in shown]
    room = max(width - first - sum(columns) - 2 * len(columns) - 2, 20)

    def line(label: str, values: Iterable[str], text: str) -> str:
        return "  ".join([label.ljust(first), *map(str.rjust, values, columns), text]) + "\n"

    yield line("label", shown, "text")
    for text, label, probabilities in predictions:
        text = _printable(text[: room + 1])
        text = text if len(text) <= room else text[: room - 3] + "..."
        yield line(_printable(label), (f"{p:.{DIGITS}f}" for p in probabilities.tolist()), text)


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
