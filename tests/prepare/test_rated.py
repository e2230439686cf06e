"""Reading the embedded texts: ratings become labels, and a malformed line is refused."""

import pytest

from stages.prepare.rated import read_rated
from stages.prepare.rows import Row
from stages.project.errors import UserError


def test_the_label_is_the_sign_of_a_clear_rating(tmp_path):
    path = tmp_path / "rated.txt"
    lines = ["1\t0.5\tgood", "2\t-0.5\tbad", "3\t0.49\tso", "4\t-0.49\tso", '5\t4\t"unclosed']
    path.write_bytes("\r\n".join(lines).encode())
    expected = [Row("good", 1), Row("bad", 0), Row("so", None), Row("so", None), Row('"unclosed', 1)]
    assert read_rated(path, 0.5) == expected
    path.write_bytes(path.read_bytes() + b"\r\n")
    assert read_rated(path, 0.5) == expected


def test_a_rating_of_0_has_no_sign(tmp_path):
    path = tmp_path / "rated.txt"
    path.write_text("1\t0.0\tneither\n2\t0.1\tgood\n")
    assert [row.label for row in read_rated(path, 0.0)] == [None, 1]


def test_entities_become_characters_once_and_line_separators_stay_text(tmp_path):
    path = tmp_path / "rated.txt"
    path.write_text("1\t2\tyou &amp; me &lt;3 &amp;gt;\u2028next\n", encoding="utf-8")
    assert read_rated(path, 0.5)[0].text == "you & me <3 &gt;\u2028next"


@pytest.mark.parametrize("line", ["2\t1.5", "2\thigh\ttext", "2\tnan\ttext", ""])
def test_a_line_of_another_form_is_named(tmp_path, line):
    path = tmp_path / "rated.txt"
    path.write_text(f"1\t2\tgood\n{line}\n3\t1\tend\n")
    with pytest.raises(UserError, match=r"rated\.txt: line 2 is .*expected id, mean rating and text"):
        read_rated(path, 0.5)
