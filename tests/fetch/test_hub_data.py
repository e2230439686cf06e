"""Data sets that the `datasets` library reads: exact texts, the order of the classes, and faults in one message each.

A folder of the files that a repository of the Hub would hold stands in for it, below the check of the name.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from stages.fetch.hub_data import BATCH, fetch_data, write_splits
from stages.prepare.user_data import ArrowStream, declared_names
from stages.prepare.user_table import Record
from stages.project.errors import UserError
from stages.project.files import sha256_of
from stages.project.schema import HubDataParams

CLASSES = Features({"label": ClassLabel(names=["worse", "better"]), "title": Value("string"), "content": Value("string")})
TEXTS = ["plain", "two\nlines\r\nand\rmore", 'a "quote", a comma', "a NUL \0 inside", "  é \u2028 ", ""]
SOURCE = {
    "name": "mine",
    "config": None,
    "revision": "0" * 40,
    "split": "train",
    "validation_split": None,
    "test_split": None,
    "text_column": "content",
    "label_column": "label",
}


def rows_of(texts, labels=(0, 1)) -> Dataset:
    content = {"label": [labels[i % len(labels)] for i in range(len(texts))], "title": [""] * len(texts), "content": texts}
    return Dataset.from_dict(content, features=CLASSES)


def read_arrow(path: Path) -> Iterator[Record]:
    return ArrowStream(path).rows()


@pytest.fixture
def mine(tmp_path, monkeypatch) -> Path:
    """The folder `mine` in the current one, with a training split."""
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    rows_of(TEXTS).to_parquet("mine/train.parquet")
    return Path("mine")


def fetch(**values) -> Path:
    """The stream of the training split, written into the folder `out`."""
    Path("out").mkdir(exist_ok=True)
    with TemporaryDirectory() as cache:
        write_splits(HubDataParams(**SOURCE | values), Path(cache), Path("out"))
    return Path("out/train.arrow")


def write_csv(content: str) -> None:
    Path("mine/train.parquet").unlink()
    Path("mine/train.csv").write_text(content)


def test_texts_come_back_exactly_and_classes_keep_their_order(mine, capsys):
    path = fetch()
    assert [(record.text, record.label) for record in read_arrow(path)] == list(zip(TEXTS, ["worse", "better"] * 3, strict=True))
    assert declared_names(path) == ["worse", "better"]
    captured = capsys.readouterr()
    assert captured.out == "mine: 6 rows of train for train\n" and captured.err == ""


def test_equal_rows_give_equal_bytes(mine):
    rows_of([f"text {i}" for i in range(BATCH + 1)]).to_parquet("mine/train.parquet")
    first = sha256_of(fetch())
    os.utime("mine/train.parquet", (0, 0))
    assert sha256_of(fetch()) == first and len(list(read_arrow(Path("out/train.arrow")))) == BATCH + 1
    rows_of([f"text {i}" for i in range(BATCH + 1)]).to_json("mine/train.json")
    Path("mine/train.parquet").unlink()
    assert [record.label for record in read_arrow(fetch())][:2] == ["0", "1"]  # JSON knows no class names


def test_splits_and_parts_of_them(mine):
    rows_of(["t1", "t2"]).to_parquet("mine/test.parquet")
    fetch(split="train[:2]", validation_split="train[4:]", test_split="test")
    texts = {path.stem: [record.text for record in read_arrow(path)] for path in Path("out").iterdir()}
    assert texts == {"train": TEXTS[:2], "validation": TEXTS[4:], "test": ["t1", "t2"]}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("3,-1", ["3", "-1"]),
        ("3.0,1.0", ["3", "1"]),
        ("1e3,5", ["1000", "5"]),
        ("True,False", ["true", "false"]),
        (" a,b ", ["a", "b"]),
    ],
)
def test_other_labels_are_written_as_text(mine, labels, expected):
    write_csv("content,label\n" + "".join(f"text,{label}\n" for label in labels.split(",")))
    assert [record.label for record in read_arrow(fetch())] == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "dev"}, r"data\.hub\.split: 'dev' cannot be taken .*; the splits are train, and"),
        ({"test_split": "train["}, r"data\.hub\.test_split: 'train\[' cannot be taken"),
        ({"split": "train[:0]"}, r"data\.hub\.split: 'train\[:0\]' cannot be taken"),
        ({"config": "en"}, r"data\.hub\.config: 'en' is not a configuration of mine .*Available: \['default'\]"),
        ({"text_column": "body"}, r"data\.hub\.text_column: mine has no column 'body'; .* title \(string\), content \(string\)"),
        ({"label_column": "y"}, r"data\.hub\.label_column: mine has no column 'y'; .* are label \(classes worse, better\)"),
        ({"text_column": "label", "label_column": "title"}, r"data\.hub\.text_column: 'label' is not a column of strings"),
        ({"label_column": "title"}, r"data\.hub\.label_column: 'title' is empty in row 1 of train"),
    ],
)
def test_a_wrong_parameter_is_one_message_with_what_would_be_right(mine, values, message):
    with pytest.raises(UserError, match=message) as caught:
        fetch(**values)
    assert len(str(caught.value)) < 800 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine", r"mine is a folder here, expected a data set of the Hub; for files of your own set data\.source to csv"),
        ("absent/folder/here", r"'absent/folder/here' is not a name on the Hub; expected one like owner/name"),
        ("hf://datasets/org/name", r"'hf://datasets/org/name' is not a name on the Hub"),
        ("csv", r"csv is a format, not a data set; expected one like owner/name"),
        ("org/name", r"org/name could not be fetched; is the name right, and the network there\?"),
    ],
)
def test_only_a_name_of_the_hub_is_fetched(mine, name, message):
    with pytest.raises(UserError, match=rf"^data\.hub\.name: {message}") as caught:
        fetch_data(HubDataParams(**SOURCE | {"name": name}), Path("out"))
    assert len(str(caught.value)) < 800 and "\n" not in str(caught.value)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("content,label\na,1\n,0\n", r"text_column: 'content' is null in row 2 of train; every row needs"),
        ("content,label\na,1\nb,\n", r"label_column: 'label' is null in row 2"),
        ("content,label\na,1\nb,0.5\n", r"label_column: 'label' is not a whole number, .* row 2"),
        ('content,label\n"a,b\n', r"data\.hub\.name: mine cannot be used \(ParserError"),
        ("content,label\n1,1\n2,0\n", r"text_column: 'content' is not a column of strings; the columns are content \(int64\)"),
    ],
)
def test_rows_that_cannot_serve_are_named(mine, content, message):
    write_csv(content)
    with pytest.raises(UserError, match=message):
        fetch()


def test_a_row_without_a_label_is_named_across_batches(mine):
    labels = [*[0, 1] * (BATCH // 2), -1, 0, 1, 0, 1]
    rows_of([f"text {i}" for i in range(BATCH + 5)], labels).to_parquet("mine/train.parquet")
    with pytest.raises(UserError, match=r"'label' is -1, which marks a row without a label, in row 1001 of train"):
        fetch()


@pytest.mark.parametrize("name", ["train.pkl", "train.txt", "train.tar", "mine.py"])
def test_files_that_are_not_tables_are_refused_unread(mine, name):
    Path("mine/train.parquet").unlink()
    Path("mine", name).write_text("import os; os.mkdir('mark')")
    with pytest.raises(UserError, match=r"data\.hub\.name: .*mine .*csv, json, parquet or arrow"):
        fetch()
    assert not Path("mark").exists()


def test_a_stream_that_was_damaged_is_one_message(mine):
    path = fetch()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"train\.arrow: not a table of texts and labels .*run the stage fetch again"):
        list(read_arrow(path))
