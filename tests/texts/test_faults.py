"""All faulty lines of a file are told at once: of each kind the first ten, and the count."""

import pytest

from stages.project.errors import UserError
from stages.texts.faults import Faults


def told(*faults: tuple, unit: str = "line") -> str:
    found = Faults("mine.csv", unit)
    for fault in faults:
        found.add(*fault)
    with pytest.raises(UserError) as caught:
        found.check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_fault_is_no_error():
    Faults("mine.csv").check()


def test_one_two_and_many_lines():
    assert told((3, "has nothing", "fill it in")) == "mine.csv: line 3 has nothing; fill it in"
    assert told((3, "is empty", "a"), (5, "is empty", "a"), unit="row") == "mine.csv: rows 3 and 5 are empty; a"
    many = told(*((line, "contains a NUL", "a") for line in range(1, 24)))
    assert many == "mine.csv: lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 13 more (23 in all) contain a NUL; a"


def test_kinds_are_told_apart_and_not_without_end():
    assert told((3, "has x", "a"), (4, "has y", "b"), (5, "has x", "a")) == "mine.csv: lines 3 and 5 have x, line 4 has y; a; b"
    assert (
        told((1, "has byte 1", "a", "have bytes"), (2, "has byte 2", "b", "have bytes"))
        == "mine.csv: lines 1 and 2 have bytes; a"
    )
    assert "line 10 has 10, 90 more lines have other faults; a" in told(*((line, f"has {line}", "a") for line in range(1, 101)))
    assert told((7, "is odd", "a", "", True)) == "mine.csv: the row that begins in line 7 is odd; a"
