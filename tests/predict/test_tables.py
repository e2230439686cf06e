"""Tables of every format that training reads, and columns that go through to the output."""

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from stages.predict import stage as predict
from stages.predict.output import output_names
from stages.project.errors import UserError
from tests.checkpoints import LABELS, make_checkpoint

TABLE = pd.DataFrame(
    {"id": [7, 8, 9], "text": ["w1 w2", "w3, w4", "w5"], "label": ["x", None, "\u00e9"], "score": [0.5, 1.0, None]}
)
PROBABILITIES = [f"p_{name}" for name in LABELS]


@pytest.fixture
def lora(project, params) -> Path:
    return make_checkpoint("lora", params, recorded=False)


def predicted(*arguments: str) -> list[dict[str, str]]:
    predict.main(["--method", "lora", "--output", "out.csv", *arguments])
    return list(csv.DictReader(io.StringIO(Path("out.csv").read_text(encoding="utf-8"))))


def refused(*arguments: str) -> str:
    with pytest.raises(UserError) as error:
        predicted(*arguments)
    assert "\n" not in str(error.value) and not Path("out.csv").exists()
    return str(error.value)


@pytest.fixture
def tables(lora) -> list[list[str]]:
    """The arguments for the same table in every format."""
    Path("t.csv").write_text(TABLE.to_csv(index=False))
    Path("t.tsv").write_text(TABLE.to_csv(index=False, sep="\t"))
    Path("excel.csv").write_bytes((TABLE.to_csv(index=False, sep=";") + ";;;\r\n").encode("cp1252"))
    Path("unicode.txt").write_text(TABLE.to_csv(index=False), encoding="utf-16")
    TABLE.to_json("t.jsonl", orient="records", lines=True)
    TABLE.to_parquet("t.parquet")
    names = ("t.csv", "t.tsv", "unicode.txt", "t.jsonl", "t.parquet")
    return [["--file", name] for name in names] + [["--file", "excel.csv", "--delimiter=semicolon", "--encoding=cp1252"]]


def test_every_format_gives_the_same_predictions_and_keeps_columns(tables):
    results = [predicted(*table, "--text-column", "text", "--keep", "id") for table in tables]
    assert all(result == results[0] for result in results)
    assert list(results[0][0]) == ["id", "text", "label", *PROBABILITIES]
    assert [(row["id"], row["text"]) for row in results[0]] == [("7", "w1 w2"), ("8", "w3, w4"), ("9", "w5")]


def test_all_columns_are_kept_and_none_hides_a_prediction(tables, capsys):
    for table in tables:
        rows = predicted(*table, "--text-column", "text", "--keep-all")
        assert list(rows[0]) == ["id", "input_label", "score", "text", "label", *PROBABILITIES]
        assert [row["input_label"] for row in rows] == ["x", "", "\u00e9"] and [row["score"] for row in rows] == [
            "0.5",
            "1.0",
            "",
        ]
        assert "the output has a column 'label' of its own; yours is called 'input_label' there" in capsys.readouterr().err
    assert output_names(["p_a", "input_text", "text", "id"], ["a"]) == ["input_p_a", "input_text", "input_input_text", "id"]


def test_json_keeps_values_as_they_are(tables):
    predict.main(["--method", "lora", "--file", "t.jsonl", "--text-column", "text", "--keep-all", "--output", "out.jsonl"])
    rows = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert list(rows[0]) == ["id", "input_label", "score", "text", "label", "probabilities"]
    assert [(row["id"], row["input_label"], row["score"]) for row in rows] == [(7, "x", 0.5), (8, None, 1.0), (9, "\u00e9", None)]


def test_a_terminal_shows_kept_columns_cut(tables, capsys):
    Path("long.csv").write_text(f"id,text\n{'i' * 30},w1\n")
    arguments = ["--method", "lora", "--format", "table", "--file", "long.csv", "--text-column", "text", "--keep", "id"]
    predict.main(arguments)
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["label", *LABELS, "id", "text"] and line.endswith("  iiiiiiiii...  w1")


@pytest.mark.parametrize(
    "content", ["id,text\n1,w1\n2,\n3,w2\n4, \n", '{"id": 1, "text": "w1"}\n{"id": 2}\n{"id": 3, "text": "w2"}\n{"text": " "}\n']
)
def test_rows_without_text_are_told_together_or_left_out(lora, capsys, content):
    name = "t.csv" if content.startswith("id") else "t.jsonl"
    Path(name).write_text(content)
    table = ["--file", name, "--text-column", "text"]
    lines = "3 and 5" if name == "t.csv" else "2 and 4"
    assert refused(*table).startswith(
        f"{name}: lines {lines} are empty in column 'text'; there is no text to classify; fill it in"
    )
    assert [row["text"] for row in predicted(*table, "--missing=drop")] == ["w1", "w2"]
    assert f"{name}: left out 2 lines without text (--missing=drop)" in capsys.readouterr().err


def test_what_cannot_be_read_is_named_with_the_option_that_helps(tables):
    excel, text = ["--file", "excel.csv"], ["--text-column", "text"]
    assert "or set --encoding=cp1252 (Windows, Excel) if '9;w5;é;' in line 4 reads well" in refused(*excel, *text)
    assert "set --delimiter=semicolon or auto" in refused(*excel, *text, "--encoding=cp1252", "--delimiter=comma")
    assert "no column 'name'; the columns are ['id', 'text', 'label', 'score']" in refused(*tables[4], *text, "--keep", "name")
    assert "name it with --text-column" in refused("--file", "t.parquet")
    Path("t.xlsx").write_bytes(b"PK\x03\x04")
    assert refused("--file", "t.xlsx", *text).startswith("t.xlsx: is a workbook; save the table as CSV UTF-8")


@pytest.mark.parametrize("arguments", [["--keep", "id"], ["--keep-all"], ["--encoding", "utf-9"], ["--delimiter", "x"]])
def test_a_wrong_command_line_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        predict.main([*arguments, "--file", "t.csv"])
    assert ended.value.code == 2 and "usage: python -m stages.predict" in capsys.readouterr().err
