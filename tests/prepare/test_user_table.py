"""The user's own tables: the same rows in every format, all faults at once, missing values and labels of any type."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from stages.classifier.splits import SPLITS
from stages.prepare.user_data import read_given
from stages.project.errors import UserError

CASES = pd.DataFrame({"text": ["a", "b, c", 'd "e"', "f\ng"], "label": ["x", "\u00e9", "x", "\u00e9"]})


@pytest.fixture
def read(tmp_path, params, with_params):
    """A function that reads the files whose content it is given by their names; returns text, class, split of each row."""

    def run(files: dict[str, str | bytes], **csv) -> list[tuple[str, str, str]]:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        data = with_params(data={"source": "csv", "csv": {**params.data.csv.model_dump(), "path": "my/data", **csv}}).data
        given = read_given(tmp_path, data, tmp_path / "store")
        run.dropped, run.names = given.rows.dropped, given.names
        texts = [text for batch in given.rows.texts(np.arange(len(given.rows.labels))) for text in batch]
        labels = [given.names[label] for label in given.rows.labels]
        return list(zip(texts, labels, (SPLITS[place] for place in given.rows.places), strict=True))

    return run


@pytest.fixture
def refused(read):
    def run(files: dict[str, str | bytes], **csv) -> str:
        with pytest.raises(UserError) as caught:
            read(files, **csv)
        assert "\n" not in str(caught.value) and "reviews" not in str(caught.value)
        return str(caught.value)

    return run


def test_every_format_gives_the_same_rows(read, tmp_path):
    expected = [(" ".join(text.split()), label, "train") for text, label in CASES.itertuples(index=False)]
    assert read({"reviews.csv": CASES.to_csv(index=False)}) == expected
    (tmp_path / "reviews.csv").unlink()
    assert read({"reviews.tsv": CASES.to_csv(index=False, sep="\t")}) == expected
    (tmp_path / "reviews.tsv").unlink()
    assert read({"reviews.jsonl": CASES.to_json(orient="records", lines=True)}) == expected
    (tmp_path / "reviews.jsonl").unlink()
    CASES.to_parquet(tmp_path / "reviews.parquet")
    assert read({}) == expected
    (tmp_path / "reviews.parquet").unlink()
    excel = (CASES.to_csv(index=False, sep=";") + ";\r\n").encode("cp1252")
    assert read({"reviews.csv": excel}, delimiter="semicolon", encoding="cp1252") == expected


def test_files_of_several_formats_are_one_data_set(read):
    rows = read(
        {"train.csv": "text,label\na,1\nb,0\n", "dev.jsonl": '{"text": "c", "label": 1}\n', "test.tsv": "label\ttext\n0\td\n"}
    )
    assert rows == [("a", "1", "train"), ("b", "0", "train"), ("c", "1", "validation"), ("d", "0", "test")]


def test_labels_of_any_type_are_names(read):
    values = [1, True, "1 ", 1.0, "true", "no"]
    lines = [json.dumps({"text": f"t{i}", "label": value}) for i, value in enumerate(values)]
    assert [label for _, label, _ in read({"reviews.jsonl": "\n".join(lines)})] == ["1", "true", "1", "1", "true", "no"]


def test_class_names_of_the_datasets_library_keep_their_order(read, tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["worse", "better", "unused"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features).to_parquet(tmp_path / "reviews.parquet")
    assert read({}) == [("a", "better", "train"), ("b", "worse", "train")] and read.names == ["worse", "better"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": 5, "label": 1}', "line 1 has a value of type int in column 'text', not a string"),
        ('{"text": "a", "label": [1, 2]}', "line 1 has a value of type list in column 'label', not a string or a number"),
        ('{"text": "a", "label": null}', "line 1 has nothing in column 'label'"),
        ('{"text": "a"}', "no column 'label'; the columns are ['text']; set data.csv.text_column"),
    ],
)
def test_values_that_cannot_be_used_are_named(refused, line, message):
    assert f"my/data: {message}" in refused({"reviews.jsonl": line + "\n"})


def test_all_faulty_lines_are_told_at_once(refused):
    rows = [
        ("", "1", "train"),
        ("a", "", "train"),
        *((f"t{i}", str(i % 2), "train") for i in range(20)),
        *[("", "0", "dev")] * 12,
    ]
    content = pd.DataFrame([*rows, ("b", "1", "later")], columns=["text", "label", "part"]).to_csv(index=False)
    message = refused({"reviews.csv": content}, split_column="part")
    assert message.startswith(
        "my/data: lines 2, 24, 25, 26, 27, 28, 29, 30, 31, 32 and 3 more (13 in all) have nothing in column 'text', "
        "line 3 has nothing in column 'label', line 36 has 'later' in column 'part'; fill it in"
    )
    assert "data.csv.missing=drop" in message and "expected train, validation" in message


def test_rows_with_missing_values_are_left_out_and_counted(read, capsys):
    content = "text,label\na,1\n,1\nb,\nc,0\n,\n"
    assert read({"reviews.csv": content}, missing="drop") == [("a", "1", "train"), ("c", "0", "train")]
    assert read.dropped["missing"] == 2
    told = "my/data: line 3 has nothing in column 'text', line 4 has nothing in column 'label'; left out 2 of 4 rows"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    "test", ["text\nc\nd\n", "id,text\n1,c\n", "text,label\nc,\nd,\n", "text,label\nc,-1\nd,-1\n", "label,text\n?,c\n"]
)
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_a_test_set_without_labels_is_refused_with_what_to_do(refused, test, missing):
    message = refused({"train.csv": "text,label\na,1\nb,0\n", "test.csv": test}, missing=missing)
    assert message.startswith("my/data/test.csv: ") and "a test set without labels cannot be scored" in message
    assert "classify it with `python -m stages.predict --file`" in message


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_rows_for_test_without_labels_are_refused_too(refused, missing):
    content = "text,label,part\na,1,train\nb,0,train\nc,,test\nd,,test\n"
    message = refused({"reviews.csv": content}, split_column="part", missing=missing)
    assert message.startswith("my/data: no row for test has a label in column 'label'; a test set without labels")


def test_files_that_parameters_name_are_called_so(refused):
    files: dict[str, str | bytes] = {"train.csv": "text,label\na,1\nb,0\n", "validation.csv": "text,label\n,1\nc,1\n"}
    message = refused(files, train_file="2023.csv", validation_file="later/2024.csv")
    assert message.startswith("my/data/later/2024.csv: line 2 has nothing in column 'text'")


def test_a_column_of_splits_and_a_file_a_split_exclude_each_other(refused):
    message = refused({"train.csv": "text,label\na,1\n"}, split_column="part")
    assert message.startswith("data.csv.split_column: 'part', but data.csv.path (my/data) is a folder")


def test_nothing_fetched_is_named(read, tmp_path):
    with pytest.raises(UserError, match="has no texts; run the stage fetch first"):
        read({})
    assert not list(Path(tmp_path).glob("store*"))
