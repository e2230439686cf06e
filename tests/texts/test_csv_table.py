"""CSV rows with the line on which each begins; malformed rows are refused with that line."""

import pytest

from stages.project.errors import UserError
from stages.texts.csv_table import csv_fields


def read(content: str) -> list[tuple[int, list[str]]]:
    return list(csv_fields(content.splitlines(keepends=True), "mine.csv", ["label", "text"], "choose another"))


def test_rows_begin_where_their_first_line_is():
    content = 'id,label,text\r\n1, no ,"NA, ""null"""\r\n\r\n2,yes,"two\r\nlines"\r\n3,no,007\r\n'
    assert read(content) == [(2, [" no ", 'NA, "null"']), (4, ["yes", "two\r\nlines"]), (6, ["no", "007"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"no column 'label'; the columns are \[\]; choose another"),
        ("text\tlabel\na\tb\n", r"no column 'label'; .* separated by '\\t', save it with commas"),
        ("text,label,text\na,b,c\n", r"2 columns are called 'text'"),
        ('text,label\n"two\nlines",1\ngood, cheap,1\n', r"line 4 has 3 fields, the header has 2; put double quotes"),
        ('text,label\na,0\n"good,1\n\n\nb,1\n', r"the row that begins in line 3 is not valid CSV: unexpected end of data"),
        ('text,label\na,0\n"two\nlines"x,1\n', r"the row that begins in line 3 is not valid CSV: ',' expected"),
    ],
)
def test_faults_are_named_with_the_line(content, message):
    with pytest.raises(UserError, match=rf"^mine\.csv: {message}"):
        read(content)
