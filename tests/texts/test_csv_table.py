"""CSV rows with the line on which each begins; malformed rows are refused with that line."""

import re

import pytest

from stages.project.errors import UserError
from stages.texts.csv_table import csv_rows
from stages.texts.faults import Faults
from stages.texts.options import Options


def read(content: str, *columns: str, delimiter: str = "auto", told: list[str] | None = None, rest: bool = False) -> list:
    """The rows without the first, which has the names; what is guessed is added to `told`."""
    faults, told = Faults("mine.csv"), [] if told is None else told
    options = Options(delimiter, advice="choose another", tell=told.append)
    rows = list(csv_rows(content.splitlines(keepends=True), columns or ("label", "text"), faults, options, rest))
    faults.check()
    return rows if rest else rows[1:]


def test_rows_begin_where_their_first_line_is():
    content = 'id,label,text\r\n1, no ,"NA, ""null"""\r\n\r\n2,yes,"two\r\nlines"\r\n3,no,007\r\n'
    assert read(content) == [(2, [" no ", 'NA, "null"']), (4, ["yes", "two\r\nlines"]), (6, ["no", "007"])]


@pytest.mark.parametrize(("word", "sign"), [("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("pipe", "|")])
def test_the_delimiter_is_the_one_with_which_the_header_has_the_columns(word, sign):
    content, told = f"label{sign}text\n1{sign}a, b; c\n" if sign not in ",;" else f'label{sign}text\n1{sign}"a, b; c"\n', []
    assert read(content, told=told) == read(content, delimiter=word) == read(content, delimiter=sign) == [(2, ["1", "a, b; c"])]
    assert told == (
        [] if sign == "," else [f"mine.csv: its fields are separated by {sign!r}; if that is wrong, set data.csv.delimiter"]
    )
    other = "comma" if sign != "," else "pipe"
    with pytest.raises(UserError, match=re.escape(f"separated by {sign!r}, set data.csv.delimiter={word} or auto")):
        read(content, delimiter=other)


@pytest.mark.parametrize("end", ["", ",\n", ",\n,\n", " , \n", ",,,\n", "\n \n"])
def test_lines_without_content_are_no_rows(end):
    assert read("\n,\nlabel,text\n,\n1,a\n" + end) == [(5, ["1", "a"])]


def test_a_missing_text_in_the_only_column_is_a_row():
    assert read('text\na\n""\n\n', "text") == [(2, ["a"]), (3, [""])]


def test_names_are_found_without_regard_to_what_nobody_sees():
    told: list[str] = []
    assert read("categori\u0301a, text\n1,a\n", "categor\u00eda", "text", told=told) == [(2, ["1", "a"])]
    assert told == ["mine.csv: the column 'categori\u0301a' is read as 'categor\u00eda', the column ' text' is read as 'text'"]
    assert read("text, text\na,b\n", "text", told=told) == [(2, ["a"])] and len(told) == 1  # one is written so


def test_other_columns_follow():
    assert read("id,text,stars\n1,a,5\n", "text", rest=True) == [(1, ["text", "id", "stars"]), (2, ["a", "1", "5"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"is blank, expected columns .label., .text."),
        ("text,Label\na,b\n", r"no column 'label'; the columns are \['text', 'Label'\]; choose another"),
        ("text,label,text\na,b,c\n", r"2 columns are called 'text'"),
        (" text,label,text \na,b,c\n", r"2 columns are called 'text'"),
        ('text,label\n"two\nlines",1\ngood, cheap,1\n', r"line 4 has 3 fields, the header has 2; put double quotes"),
        ("text;label\na;b;1\nc\n", r"line 2 has 3 fields, the header has 2, line 3 has 1 field, .* contains a semicolon"),
        ('text,label\na,0\n"good,1\n\n\nb,1\n', r"the row that begins in line 3 is not valid CSV: unexpected end of data"),
        ('text,label\na,0\n"two\nlines"x,1\n', r"the row that begins in line 3 is not valid CSV: ',' expected"),
        ('text,label\n"a"x,0\nb,1\n"c"x,0\n', r"the rows that begin in lines 2 and 4 are not valid CSV: ',' expected"),
    ],
)
def test_faults_are_named_with_the_line(content, message):
    with pytest.raises(UserError, match=rf"^mine\.csv: {message}"):
        read(content)


def test_quotes_may_be_characters_like_any_other():
    content = 'label\ttext\n1\t"a" b\n0\t"open\n1\tshut"\n'
    faults = Faults("mine.csv")
    rows = list(csv_rows(content.splitlines(keepends=True), ["text"], faults, Options(quotes="none", tell=lambda text: None)))
    assert [fields for _, fields in rows[1:]] == [['"a" b'], ['"open'], ['shut"']] and not faults.count
    with pytest.raises(UserError, match=r"begins in line 2 is not valid CSV: .* or set data\.csv\.quotes=none if quotes belong"):
        read(content)


def test_excel_may_say_the_delimiter_in_the_first_line():
    assert read("sep=;\nlabel;text\n1;a, b\n") == [(3, ["1", "a, b"])]
    assert read('"sep=|"\r\nlabel|text\r\n1|a\r\n') == [(3, ["1", "a"])]
