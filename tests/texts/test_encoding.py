"""Text is UTF-8 with or without a byte order mark; a fault is reported with its line."""

import pytest

from stages.project.errors import UserError
from stages.texts.encoding import BLOCK, check_text, read_text


def test_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "file.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("café", encoding=encoding)
        assert read_text(path) == "café"
    path.write_bytes("one\ntwo\ncafé".encode("cp1252"))
    with pytest.raises(UserError, match=r"file\.txt: line 3 contains the byte 0xe9, which is not UTF-8"):
        read_text(path)
    with pytest.raises(UserError, match="no such file; run the stage fetch first"):
        read_text(tmp_path / "absent.txt")


@pytest.mark.parametrize("before", [BLOCK - 12, BLOCK - 11, BLOCK - 10])  # a character of two bytes at the edge of a block
def test_lines_are_counted_across_blocks(tmp_path, before):
    path = tmp_path / "file.csv"
    start = b"text,label\n" + b"x" * before

    def fault(content: bytes) -> str:
        path.write_bytes(start + content)
        with pytest.raises(UserError) as caught:
            check_text(path)
        return str(caught.value)

    assert "line 3 contains the byte 0xff" in fault("é,1\ncaf".encode() + b"\xff,0\n")
    assert "line 3 contains a NUL" in fault("é,1\ncaf\0,0\n".encode())
    assert "line 2 contains the byte 0xc3" in fault(b"\xc3")
    path.write_bytes(start + "é,1\nb,0\n".encode())
    check_text(path)
