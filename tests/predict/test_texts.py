"""What counts as a text; a CSV file has the same ones for predict as for prepare."""

import io

import pytest

from stages.predict.texts import read_texts
from stages.prepare.user_csv import read_csv


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
    assert list(read_texts(io.BytesIO(content), "f", column)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'text,label\ra,1\r"b\rc",0\r', ["a", "b\rc"]),
        (b"text,label\r\na,1\rb,0\nc,1", ["a", "b", "c"]),
        (b'\xef\xbb\xbftext,label\n"a\r\nb",1\r\r\n"c ""d""",0\n', ["a\r\nb", 'c "d"']),
        ("text,label\na\u2028b\x0bc,1\nd\x85e,0\n".encode(), ["a\u2028b\x0bc", "d\x85e"]),
    ],
)
def test_a_csv_file_that_prepare_accepts_has_the_same_texts_here(tmp_path, params, content, expected):
    path = tmp_path / "reviews.csv"
    path.write_bytes(content)
    assert [record.text for record in read_csv(path, params.data.csv)] == expected
    with path.open("rb") as stream:
        assert list(read_texts(stream, "f", params.data.csv.text_column)) == expected
