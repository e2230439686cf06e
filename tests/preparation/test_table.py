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
        ("text;label\na;b\n", r"no column 'text'; the columns are \['text;label'\]; its fields seem to be separated by ';'"),
        ("text\tlabel\na\tb\n", r"no column 'text'; .* separated by '\\t', save it with commas"),
        ("text,stars\na,b\n", r"no column 'label'; the columns are \['text', 'stars'\]; set data\.csv\.text_column"),
        ("text,label,text\na,b,c\n", r"2 columns are called 'text'"),
        ("text,label\ngood,1\n ,0\n", r"line 3 has nothing in column 'text'"),
        ('text,label\n"two\nlines",1\n"\n\n",0\n', r"line 4 has nothing in column 'text'"),
        ("text,label\ngood,\n", r"line 2 has nothing in column 'label'"),
        ("text,label\ngood, cheap,1\n", r"line 2 has 3 fields, the header has 2; put double quotes"),
        ("text,label\n\n\ngood\n", r"line 4 has 1 fields, the header has 2"),
        ('text,label\na,0\n"good,1\n\n\nb,1\n', r"the row that begins in line 3 is no valid CSV: unexpected end of data"),
        ('text,label\n"a"b,0\n', r"the row that begins in line 2 is no valid CSV"),
        ("text,label\na,0\nb\0,1\n", r"line 3 holds a NUL character"),
        ("text,label\n", r"column 'label' holds no labels; two classes"),
        ("text,label\na,1\nb,1\n", r"column 'label' holds \['1'\]; two classes"),
    ],
)
def test_faults_are_named(read, content, message):
    with pytest.raises(UserError, match=rf"reviews\.csv: {message}"):
        read(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,1\ncafé,0\n".encode("latin-1"), "line 3 holds the byte 0xe9, which is not UTF-8; save the file as UTF-8"),
        ("text,label\na,1\n".encode("utf-16"), "line 1 holds the byte 0xff, which is not UTF-8"),
        ("text,label\na,1\n".encode("utf-16-le"), "line 1 holds a NUL character"),
    ],
)
def test_other_encodings_are_named(tmp_path, content, message):
    (tmp_path / "reviews.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "reviews.csv", COLUMNS)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    (tmp_path / "reviews.csv").write_bytes("text,label\na,1\nb,0\n".encode("utf-8-sig"))
    assert read_table(tmp_path / "reviews.csv", COLUMNS)[0] == [Row("a", 1), Row("b", 0)]


def test_a_field_of_5_mb_is_read(read):
    rows, _ = read("text,label\n" + "word " * 1_000_000 + ",1\nshort,0\n")
    assert len(rows[0].text) == 5_000_000


def test_an_identifier_named_as_label_is_refused(tmp_path):
    lines = [f"{i},text {i},{i % 2}" for i in range(10_000)]
    (tmp_path / "reviews.csv").write_text("\n".join(["id,text,label", *lines]))
    wrong = CsvParams(path="unused.csv", text_column="text", label_column="id")
    with pytest.raises(
        UserError, match=r"column 'id' holds 10,000 different values in 10,000 rows, such as '0', '1', '2': .*set data"
    ):
        read_table(tmp_path / "reviews.csv", wrong)
    assert read_table(tmp_path / "reviews.csv", COLUMNS)[1] == ["0", "1"]


def test_many_classes_with_rows_enough_are_accepted(read):
    assert len(read("text,label\n" + "\n".join(f"text {i},{i % 30}" for i in range(90)))[1]) == 30
