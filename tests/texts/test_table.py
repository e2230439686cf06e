"""JSON lines and Parquet give the same rows as CSV, with values of their own types."""

import io
import json

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from stages.project.errors import UserError
from stages.texts.faults import Faults
from stages.texts.options import Options
from stages.texts.table import class_names, table_rows

ROWS = pd.DataFrame({"id": [1, 2], "text": ['one, "two"\nthree', "caf\u00e9"], " label": ["yes", None]})


def read(path, *columns: str, rest: bool = False) -> list:
    faults = Faults("mine")
    rows = list(table_rows(path, columns or ("text", "label"), faults, Options(tell=lambda text: None), rest))
    faults.check()
    return rows if rest else rows[1:]


def refused(path, *columns: str) -> str:
    with pytest.raises(UserError, match=r"^mine: ") as caught:
        read(path, *columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_of_pandas(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    if suffix == ".jsonl":
        ROWS.to_json(path, orient="records", lines=True)
    else:
        ROWS.to_parquet(path)
    assert read(path) == [(1, ['one, "two"\nthree', "yes"]), (2, ["caf\u00e9", None])]
    assert read(path, "text", rest=True) == [
        (1, ["text", "id", " label"]),
        (1, ['one, "two"\nthree', 1, "yes"]),
        (2, ["caf\u00e9", 2, None]),
    ]
    assert "no column 'stars'; the columns are ['id', 'text', ' label']; set data.csv.text_column" in refused(path, "stars")


def test_objects_may_lack_keys_and_lines_may_be_empty(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "a"}\n\n{"label": 1, "text": "b"}\n')
    assert read(path) == [(1, ["a", None]), (3, ["b", 1])]


def test_lines_that_are_no_objects_are_told_together(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "a", "label": 1}\n[1]\n{"text"\n"b"\n{"text": "\\ud800", "label": 0}\n')
    message = refused(path)
    assert "lines 2 and 4 are not JSON objects, line 3 is not JSON (" in message
    assert "line 5 contains half of a surrogate pair" in message and "each line is one object" in message
    path.write_text(json.dumps([{"text": "a", "label": 1}], indent=1))
    assert "not JSON" in refused(path)


def test_classes_that_the_datasets_library_stored(tmp_path):
    path = tmp_path / "mine.parquet"
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", " yes"])})
    Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features).to_parquet(path)
    assert read(path) == [(1, ["a", "yes"]), (2, ["b", "no"]), (3, ["c", None])]
    assert class_names(path, "mine", "label") == ["no", "yes"]
    assert class_names(path, "mine", "text") is None


def test_a_damaged_parquet_file_is_one_message(tmp_path):
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"text,label\na,1\n")
    assert "not a Parquet file" in refused(path)
    buffer = io.BytesIO()
    ROWS.to_parquet(buffer)
    content = bytearray(buffer.getvalue())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    assert "damaged after row 0" in refused(path, "id")
