"""Rows of a text file of delimited fields, one by one, with the line on which each begins."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from stages.project.errors import UserError
from stages.texts.columns import MissingColumn, find_columns, respelled
from stages.texts.faults import Faults
from stages.texts.options import DELIMITERS, Options, character, word

LONGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit of 131,072 would refuse long texts, which are truncated anyway
SEPARATOR = re.compile('"?sep=(.)"?[\r\n]*')  # a first line by which Excel knows the delimiter
LONGEST_HEADER = 100  # lines that are looked at to find the delimiter


def csv_rows(
    lines: Iterable[str], columns: Sequence[str], faults: Faults, options: Options, rest: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a row begins and its fields in `columns`; the first row of the file is its header.

    First come the names of the columns that are yielded. A row whose fields are all blank is an empty line, as Excel leaves it
    at the end of a table. A malformed row is noted in `faults` and not yielded.

    Args:
        rest: also yield all other columns, after `columns`.

    Raises:
        UserError: a column is missing or duplicated.
    """
    csv.field_size_limit(LONGEST_FIELD)
    lines = iter(lines)
    start = list(islice(lines, LONGEST_HEADER))
    if start and (mark := SEPARATOR.fullmatch(start[0])):
        start[0] = ""  # an empty line, so that the others keep their numbers
        if options.delimiter == "auto":
            options = replace(options, delimiter=mark[1])
    try:
        delimiter, header, places = _read_header(start, columns, faults.name, options)
    except MissingColumn:
        for _ in lines if faults.count else ():  # names that cannot be decoded; this finds all such lines
            pass
        faults.check()
        raise
    others = [place for place in range(len(header)) if place not in places] if rest else []
    yield 1, [*columns, *(header[place] for place in others)]
    reader = _reader(chain(start, lines), delimiter, options)
    rows = ((line, fields) for line, fields in _records(reader, faults, options) if not _blank(fields, len(header)))
    for line, fields in islice(rows, 1, None):
        if len(fields) == len(header):
            yield line, [fields[place] for place in (*places, *others)]
        else:
            what = f"has {len(fields)} field{'s' * (len(fields) != 1)}, the header has {len(header)}"
            advice = f"put double quotes around a text that contains a {word(delimiter)}"
            faults.add(line, what, advice if options.quotes == "double" else f"no text may contain a {word(delimiter)}")


def _reader(lines: Iterable[str], delimiter: str, options: Options) -> Iterator[list[str]]:
    quoting: Any = csv.QUOTE_NONE if options.quotes == "none" else csv.QUOTE_MINIMAL
    return csv.reader(lines, strict=True, delimiter=delimiter, quoting=quoting)


def _records(reader: Iterator[list[str]], faults: Faults, options: Options) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that `reader` can parse, and the lines on which they begin."""
    while True:
        line = reader.line_num + 1  # type: ignore[attr-defined]  # the module has no public name for its readers
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            advice = (
                f'write a quote inside double quotes twice (""), or set {options.prefix}quotes=none if quotes belong to the texts'
            )
            faults.add(line, f"is not valid CSV: {error}", advice, row=True)
        else:
            yield line, fields


def _blank(fields: list[str], columns: int) -> bool:
    """Whether a row is an empty line; if there is one column only, a field of white space is a text that is missing."""
    return not fields or ((len(fields) > 1 or columns > 1) and not any(map(str.strip, fields)))


def _read_header(lines: list[str], columns: Sequence[str], name: str, options: Options) -> tuple[str, list[str], list[int]]:
    """Return the delimiter, the names of all columns, and the positions of `columns`.

    If the delimiter is to be found, it is the first one with which the header has all of `columns`.
    """
    signs = list(DELIMITERS.values()) if options.delimiter == "auto" else [character(options.delimiter)]
    headers = {sign: _header(lines, sign, options) for sign in signs}
    try:
        found = {sign: places for sign, header in headers.items() if (places := find_columns(header, columns)) is not None}
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if not found:
        most = max(headers.values(), key=len)
        raise MissingColumn(name, most, columns, _advice(lines, columns, options))
    sign, places = next(iter(found.items()))
    if options.delimiter == "auto" and sign != ",":
        options.tell(f"{name}: its fields are separated by {sign!r}; if that is wrong, set {options.prefix}delimiter")
    if told := respelled(headers[sign], columns, places):
        options.tell(f"{name}: {told}")
    return sign, headers[sign], places


def _header(lines: list[str], sign: str, options: Options) -> list[str]:
    """Return the first row that is not blank, or nothing if there is none."""
    try:
        return next((fields for fields in _reader(lines, sign, options) if any(map(str.strip, fields))), [])
    except csv.Error:
        return []


def _advice(lines: list[str], columns: Sequence[str], options: Options) -> str:
    """Return what to do about a missing column: set another delimiter if the header has all columns with it."""
    for sign in () if options.delimiter == "auto" else DELIMITERS.values():
        if {*columns} <= {*_header(lines, sign, options)}:
            return f"its fields seem to be separated by {sign!r}, set {options.prefix}delimiter={word(sign)} or auto"
    return f"{options.advice}; if these are no names, put a header line first"
