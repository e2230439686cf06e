"""Faulty lines of one file, told together: a file is mended once and not line by line."""

from dataclasses import dataclass, field

from stages.project.errors import UserError

SHOWN = 10  # lines of one kind, and kinds
PLURALS = {"has": "have", "contains": "contain", "is": "are"}


@dataclass
class _Kind:
    what: str
    many: str
    advice: str
    row: bool
    count: int = 0
    lines: list[int] = field(default_factory=list)  # the first


class Faults:
    """What is wrong with the lines of the file `name`; a fault of many lines is told once, with the first ten of them.

    Attributes:
        count: number of faults.
    """

    def __init__(self, name: str, unit: str = "line"):
        self.name, self.unit, self.count = name, unit, 0
        self._kinds: dict[str, _Kind] = {}

    def add(self, line: int, what: str, advice: str, many: str = "", row: bool = False) -> None:
        """Note a fault of a line.

        Args:
            what: begins with has, contains or is.
            advice: what to do about it.
            many: what to say of several lines, which are then one kind; by default that they all have `what`.
            row: whether it is a fault of the whole row that begins in this line.
        """
        self.count += 1
        key = many or what
        if key not in self._kinds and len(self._kinds) < SHOWN:
            self._kinds[key] = _Kind(what, many or _plural(what), advice, row)
        if kind := self._kinds.get(key):
            kind.count += 1
            if len(kind.lines) < SHOWN:
                kind.lines.append(line)

    def check(self) -> None:
        """Raise a `UserError` that lists all faults, if there are any."""
        if self.count:
            advice = dict.fromkeys(kind.advice for kind in self._kinds.values())
            raise UserError(f"{self.summary()}; {'; '.join(advice)}")

    def summary(self) -> str:
        """Return the name of the file and all faults, without advice."""
        kinds = [self._told(kind) for kind in self._kinds.values()]
        if others := self.count - sum(kind.count for kind in self._kinds.values()):
            kinds.append(f"{others:,} more {self.unit}{'s have' if others > 1 else ' has'} other faults")
        return f"{self.name}: {', '.join(kinds)}"

    def _told(self, kind: _Kind) -> str:
        """Return "line 3 has ...", "lines 3, 5 and 9 have ..." or "lines 3, 5, ... and 2 more (12 in all) have ..."."""
        if kind.count == 1:
            return f"{'the row that begins in ' * kind.row}{self.unit} {kind.lines[0]} {kind.what}"
        shown = list(map(str, kind.lines))
        last = f"{kind.count - len(shown):,} more ({kind.count:,} in all)" if kind.count > len(shown) else shown.pop()
        return f"{'the rows that begin in ' * kind.row}{self.unit}s {', '.join(shown)} and {last} {kind.many}"


def _plural(what: str) -> str:
    verb, _, rest = what.partition(" ")
    return f"{PLURALS[verb]} {rest}"
