"""Text is in the encoding that a parameter or a byte order mark says, else UTF-8; faults are reported with their lines."""

import io

import pytest

from stages.project.errors import UserError
from stages.texts.encoding import read_text, text_lines
from stages.texts.faults import Faults
from stages.texts.options import Options

TEXT = "text,label\ncaf\u00e9 \u20ac,1\r\nb,0\n"


def lines(content: bytes, encoding: str = "auto", told: list[str] | None = None) -> list[str]:
    faults, told = Faults("mine.csv"), [] if told is None else told
    options = Options(encoding=encoding, tell=told.append)
    found = list(text_lines(io.BufferedReader(io.BytesIO(content)), faults, options))
    faults.check()
    return found


def refused(content: bytes, encoding: str = "auto") -> str:
    with pytest.raises(UserError, match=r"^mine\.csv: ") as caught:
        lines(content, encoding)
    return str(caught.value)


def test_text_is_utf_8_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "file.txt"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("caf\u00e9", encoding=encoding)
        assert read_text(path) == "caf\u00e9"
    path.write_bytes("one\ntwo\ncaf\u00e9".encode("cp1252"))
    with pytest.raises(UserError, match=r"file\.txt: line 3 contains the byte 0xe9, which is not UTF-8"):
        read_text(path)
    with pytest.raises(UserError, match="no such file; run the stage fetch first"):
        read_text(tmp_path / "absent.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(encoding):
    told: list[str] = []
    assert lines(TEXT.encode(encoding), told=told) == TEXT.splitlines(keepends=True)
    assert bool(told) == encoding.endswith(("16", "32"))  # what is not UTF-8 is told


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "cp1250"])
def test_any_other_encoding_is_read_if_it_is_named(encoding):
    assert lines(TEXT.encode(encoding), encoding) == TEXT.splitlines(keepends=True)


def test_no_encoding_is_guessed():
    message = refused("a,b\ncaf\u00e9,1\nth\u00e9,0\n".encode("cp1252"))
    assert "lines 2 and 3 contain bytes that are not UTF-8; save it as UTF-8, or set data.csv.encoding=cp1252" in message
    assert "if 'caf\u00e9,1' in line 2 reads well" in message
    assert "line 1 contains the byte 0x81, which is not CP1252; set data.csv.encoding" in refused(b"\x81\n", "cp1252")
    assert "lines 1 and 2 contain a NUL character, " in refused("a\nb".encode("utf-16-le"))
    assert "data.csv.encoding=utf-16" in refused("a\nb".encode("utf-16-be"))
    assert "its byte order mark says UTF-8, data.csv.encoding says cp1252" in refused(TEXT.encode("utf-8-sig"), "cp1252")
    assert "cannot be read as utf-16" in refused(TEXT.encode("utf-16")[:-1])


@pytest.mark.parametrize("before", range(8180, 8200))  # a character of two bytes at the edge of a buffer
def test_lines_are_counted_across_blocks(before):
    start = b"text,label\n" + b"x" * before
    assert "line 3 contains the byte 0xff" in refused(start + "\u00e9,1\ncaf".encode() + b"\xff,0\n")
    assert "line 2 contains the byte 0xc3" in refused(start + b"\xc3")
    assert len(lines(start + "\u00e9,1\nb,0\n".encode())) == 3


@pytest.mark.parametrize(("content", "what"), [(b"PK\x03\x04..", "Excel"), (b"\x1f\x8b..", "gzip"), (b"PAR1", "Parquet")])
def test_what_is_no_text_is_named(content, what):
    assert what in refused(content)
