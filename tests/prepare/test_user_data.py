"""Read the user's own files: fields stay text, classes are sorted, splits are kept, faults are named."""

import numpy as np
import pytest

from stages.classifier.splits import SPLITS
from stages.prepare.rows import Row
from stages.prepare.user_data import read_given, sort_labels
from stages.project.errors import UserError


@pytest.fixture
def read(tmp_path, params, with_params):
    """A function that reads the CSV files whose content it is given by their names; returns rows and class names."""

    def read(content: str | bytes | dict[str, str], **columns):
        files = content if isinstance(content, dict) else {"reviews": content}
        for name, value in files.items():
            (tmp_path / f"{name}.csv").write_bytes(value if isinstance(value, bytes) else value.encode())
        csv = {**params.data.csv.model_dump(), "path": "mine", **columns}
        given = read_given(tmp_path, with_params(data={"source": "csv", "csv": csv}).data, tmp_path / "store")
        texts = [text for batch in given.rows.texts(np.arange(len(given.rows.labels))) for text in batch]
        places = [SPLITS[place] for place in given.rows.places]
        return list(map(Row, texts, given.rows.labels.tolist(), places)), given.names

    return read


def test_fields_stay_text(read):
    rows, names = read('id,label,text\r\n1, no ,"NA, ""null"""\r\n\r\n2,yes,007\r\n3,no,"two\r\nlines"\r\n')
    assert names == ["no", "yes"]
    assert rows == [Row('NA, "null"', 0), Row("007", 1), Row("two lines", 0)]


def test_integer_labels_are_sorted_as_numbers(read):
    assert sort_labels({"10", "9", "-1"}) == ["-1", "9", "10"]
    assert sort_labels({"10", "9", "1.5"}) == ["1.5", "10", "9"]
    rows, names = read("text,label\nworst,1\nbest,10\nfine,5\n")
    assert names == ["1", "5", "10"]
    assert [row.label for row in rows] == [0, 2, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text:label\na:b\n", r"no column 'text'; the columns are \['text:label'\]; set data\.csv\.text_column"),
        ("text,stars\na,b\n", r"no column 'label'; the columns are \['text', 'stars'\]; set data\.csv\.text_column"),
        ("text,label\ngood,1\n ,0\n", r"line 3 has nothing in column 'text'"),
        ('text,label\n"two\nlines",1\n"\n\n",0\n', r"line 4 has nothing in column 'text'"),
        ("text,label\ngood,\n", r"line 2 has nothing in column 'label'"),
        ("text,label\n\n\ngood\n", r"line 4 has 1 field, the header has 2"),
        ("text,label\na,0\nb\0,1\n", r"line 3 contains a NUL character"),
        ("text,label\n", r"column 'label' has no labels; two classes"),
        ("text,label\na,1\nb,1\n", r"column 'label' has \['1'\]; two classes"),
    ],
)
def test_faults_are_named(read, content, message):
    with pytest.raises(UserError, match=rf"^mine: {message}"):
        read(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,label\na,1\ncafé,0\n".encode("latin-1"),
            "line 3 contains the byte 0xe9, which is not UTF-8; save it as UTF-8, or set data.csv.encoding=cp1252",
        ),
        ("text,label\na,1\n".encode("utf-16-le"), "lines 1, 2 and 3 contain a NUL character"),
    ],
)
def test_other_encodings_are_named(read, content, message):
    with pytest.raises(UserError, match=message):
        read(content)


def test_a_byte_order_mark_is_no_part_of_the_first_column(read):
    assert read("text,label\na,1\nb,0\n".encode("utf-8-sig"))[0] == [Row("a", 1), Row("b", 0)]


def test_a_field_of_5_mb_is_read(read):
    rows, _ = read("text,label\n" + "word " * 1_000_000 + ",1\nshort,0\n")
    assert len(rows[0].text) == 4_999_999  # without the last space


def test_an_identifier_named_as_label_is_refused(read):
    content = "\n".join(["id,text,label", *(f"{i},text {i},{i % 2}" for i in range(10_000))])
    with pytest.raises(
        UserError, match=r"column 'id' has 10,000 different values in 10,000 rows, such as '0', '1', '2': .*set data"
    ):
        read(content, label_column="id")
    assert read(content)[1] == ["0", "1"]


def test_many_classes_with_rows_enough_are_accepted(read):
    assert len(read("text,label\n" + "\n".join(f"text {i},{i % 30}" for i in range(90)))[1]) == 30


def test_a_file_a_split_gives_rows_their_split_and_all_files_their_classes(read):
    rows, names = read({"train": "text,label\na,2\nb,10\n", "test": "label,text\n1,c\n2,d\n"})
    assert names == ["1", "2", "10"]
    assert rows == [Row("a", 1, "train"), Row("b", 2, "train"), Row("c", 0, "test"), Row("d", 1, "test")]


def test_a_column_gives_rows_their_split(read):
    values = ["test", " Train ", "dev", "valid", "val", "validation", "train", "TEST"]
    rows, _ = read("text,label,part\n" + "".join(f"t{i},{i % 2},{v}\n" for i, v in enumerate(values)), split_column="part")
    assert [row.split for row in rows] == ["test", "train", *["validation"] * 4, "train", "test"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label,part\na,1,train\nb,0,dev set\n", r"line 3 has 'dev set' in column 'part'; expected train, validation"),
        ("text,label,part\na,1,train\nb,0, \n", r"line 3 has nothing in column 'part'"),
        ("text,label,part\na,1,test\nb,0,dev\n", r"no row has train in column 'part'"),
        ("text,label\na,1\n", r"no column 'part'; .*data\.csv\.split_column"),
        ({"train": "text,label\na,1\n"}, r"data\.csv\.split_column: 'part', but data\.csv\.path \(mine\) is a folder"),
    ],
)
def test_faults_of_a_column_of_splits_are_named(read, content, message):
    with pytest.raises(UserError, match=message):
        read(content, split_column="part")


def test_faults_of_a_folder_are_named_with_the_file(read):
    train = "text,label\na,1\nb,0\n"
    with pytest.raises(UserError, match=r"mine/test\.csv: has no rows; add some, or remove the file, then test is cut"):
        read({"train": train, "test": "text,label\n"})
    with pytest.raises(UserError, match=r"mine/test\.csv: no row for test has a label in column 'label'"):
        read({"train": train, "test": "text,label\nc,\n"})
    for test in (train, "text,label\na,1\n"):
        with pytest.raises(UserError, match=r"mine/train\.csv: has no rows; add some, all methods train on them"):
            read({"train": "text,label\n", "test": test})
