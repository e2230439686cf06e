"""Reading the user's CSV file: fields stay text, classes are sorted, faults are named."""

import pytest

from stages.config.schema import CsvParams
from stages.errors import UserError
from stages.preparation.rows import Row
from stages.preparation.table import read_table, sort_labels

COLUMNS = CsvParams(path="unused.csv", text_column="text", label_column="label")


@pytest.fixture
def read(tmp_path):
    def read(content: str):
        path = tmp_path / "reviews.csv"
        path.write_bytes(content.encode())
        return read_table(path, COLUMNS)

    return read


def test_fields_stay_text(read):
    rows, names = read('id,label,text\r\n1, no ,"NA, ""null"""\r\n\r\n2,yes,007\r\n3,no,"two\r\nlines"\r\n')
    assert names == ["no", "yes"]
    assert rows == [Row('NA, "null"', 0), Row("007", 1), Row("two\r\nlines", 0)]


def test_integer_labels_are_sorted_as_numbers(read):
    assert sort_labels({"10", "9", "-1"}) == ["-1", "9", "10"]
    assert sort_labels({"10", "9", "1.5"}) == ["1.5", "10", "9"]
    rows, names = read("text,label\nworst,1\nbest,10\nfine,5\n")
    assert names == ["1", "5", "10"]
    assert [row.label for row in rows] == [0, 2, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"no column 'text'; the columns are \[\]"),
        ("text;label\na;b\n", r"no column 'text'; the columns are \['text;label'\]"),
        ("text,stars\na,b\n", r"no column 'label'; the columns are \['text', 'stars'\]"),
        ("text,label\ngood,1\n ,0\n", r"line 3 has nothing in column 'text'"),
        ("text,label\ngood,\n", r"line 2 has nothing in column 'label'"),
        ("text,label\ngood, cheap,1\n", r"line 2 has 3 fields, the header has 2; put double quotes"),
        ("text,label\ngood\n", r"line 2 has 1 fields, the header has 2"),
        ('text,label\n"good,1\n', r"line 2 is no valid CSV"),
        ("text,label\n", r"column 'label' holds no labels; two classes"),
        ("text,label\na,1\nb,1\n", r"column 'label' holds \['1'\]; two classes"),
    ],
)
def test_faults_are_named(read, content, message):
    with pytest.raises(UserError, match=rf"reviews\.csv: {message}"):
        read(content)
