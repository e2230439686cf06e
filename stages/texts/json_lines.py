"""Rows of a file of JSON objects, one per line."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stages.project.errors import UserError
from stages.texts.columns import MissingColumn, find_columns, respelled, short
from stages.texts.faults import Faults
from stages.texts.options import Options

ADVICE = "each line is one object, such as pandas writes with to_json(FILE, orient='records', lines=True, force_ascii=False)"
HALF = re.compile("[\ud800-\udfff]")


def json_rows(
    lines: Iterable[str], columns: Sequence[str], faults: Faults, options: Options, rest: bool = False
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the line and the values of the keys `columns` of each object, None for a key that it lacks.

    First come the names of the columns that are yielded. A line that is not an object is noted in `faults` and not yielded; an
    empty one is skipped.

    Args:
        rest: also yield, after `columns`, the values of the other keys of the first object.

    Raises:
        UserError: no object has a key that is asked for, or it has several with this name.
    """
    keys: list[str] = []  # of all objects, in order of first occurrence
    places: dict[tuple[str, ...], list[int]] = {}  # objects mostly have the same keys
    others: list[str] | None = None
    for line, value in _objects(lines, faults):
        known = tuple(value)
        if known not in places:
            keys += [key for key in known if key not in keys]
            places[known] = _places(known, columns, faults.name, options, first=not places)
        if others is None:
            used = {known[place] for place in places[known] if place >= 0}
            others = [key for key in known if key not in used] if rest else []
            yield 1, [*columns, *others]
        values = [value[known[place]] if place >= 0 else None for place in places[known]]
        yield line, values + [value.get(key) for key in others]
    if others and (more := [key for key in keys if key not in {*columns, *others}]):
        options.tell(f"{faults.name}: left out, as the first object lacks them: {', '.join(map(short, more[:20]))}")
    if (keys or not faults.count) and find_columns(keys, columns) is None:
        raise MissingColumn(faults.name, keys, columns, options.advice)


def _places(keys: tuple[str, ...], columns: Sequence[str], name: str, options: Options, first: bool) -> list[int]:
    """Return the positions of `columns` in the keys of an object, -1 for one that it lacks."""
    found: list[int] = []
    for column in columns:
        try:
            place = find_columns(keys, [column])
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        found += [-1] if place is None else place
        if first and place is not None and (told := respelled(keys, [column], place)):
            options.tell(f"{name}: {told}")
    return found


def _objects(lines: Iterable[str], faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.add(number, f"is not JSON ({error})", ADVICE, many="are not JSON")
            continue
        if not isinstance(value, dict):
            faults.add(number, f"is a JSON {type(value).__name__}, not an object", ADVICE, many="are not JSON objects")
        elif any(isinstance(part, str) and HALF.search(part) for part in value.values()) and not HALF.search(line):
            faults.add(number, "contains half of a surrogate pair, which is not text", "remove it")
        else:
            yield number, value
