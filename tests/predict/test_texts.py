"""What counts as a text; a CSV file has the same ones for predict as for prepare."""

import io

import pytest

from stages.predict.texts import Wanted, texts_of_file, texts_of_stream
from stages.prepare.user_table import UserTable


@pytest.mark.parametrize(
    ("content", "column", "expected"),
    [
        (b"a\nb\n", None, ["a", "b"]),
        (b"a\r\nb", None, ["a", "b"]),
        (b" a,b \n", None, [" a,b "]),
        (b't,x\n"a\nb",1\n\n"c ""d""",2\n', "t", ["a\nb", 'c "d"']),
    ],
)
def test_what_counts_as_a_text(content, column, expected):
    stream = io.BufferedReader(io.BytesIO(content))
    assert [row.text for row in texts_of_stream(stream, "f", Wanted(column)).rows] == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'text,label\ra,1\r"b\rc",0\r', ["a", "b\rc"]),
        (b"text,label\r\na,1\rb,0\nc,1", ["a", "b", "c"]),
        (b'\xef\xbb\xbftext,label\n"a\r\nb",1\r\r\n"c ""d""",0\n', ["a\r\nb", 'c "d"']),
        ("text,label\na\u2028b\x0bc,1\nd\x85e,0\n".encode(), ["a\u2028b\x0bc", "d\x85e"]),
        ("text;label\na, b;1\né;0\n;\n".encode("utf-16"), ["a, b", "é"]),
    ],
)
def test_a_csv_file_that_prepare_accepts_has_the_same_texts_here(tmp_path, params, content, expected):
    path = tmp_path / "reviews.csv"
    path.write_bytes(content)
    assert [record.text for record in UserTable(path, "mine.csv", "train", params.data.csv).rows()] == expected
    with texts_of_file(path, Wanted(params.data.csv.text_column)) as texts:
        assert ([row.text for row in texts.rows], texts.total) == (expected, len(expected))
