"""What is said about a label column, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from stages.prepare.labels import check_labels, label_warnings
from stages.project.errors import UserError

FILE = Path("mine.csv")


def warned(rows: dict[str, int]) -> list[str]:
    return label_warnings(list(rows), np.array(list(rows.values())), "label")


def refused(names: list[str], rows: int, texts: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        check_labels(FILE, "data.csv.label_column", "label", names, rows, rows if texts is None else texts)
    return str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ["negative", "positive"],
        ["1", "2", "3", "4", "5"],
        ["1.0", "2.0", "3.0"],
        ["+1", "-1", "0"],
        ["<=50K", ">50K"],
        ["C", "C#", "C++"],
        ["sci-fi; fantasy", "romance; drama", "news"],
        ["Lima, Peru", "Cusco, Peru", "La Paz, Bolivia"],
        ["Home > Kitchen", "Home > Garden"],
        ["home/kitchen", "home/garden"],
        ["rock & roll", "jazz"],
        ["yes", "no"],
        ["Q&A", "news"],
        ["[none]", "[some]"],
    ],
)
def test_ordinary_names_raise_no_question(names):
    assert warned(dict.fromkeys(names, 10)) == []
    check_labels(FILE, "data.csv.label_column", "label", names, 10 * len(names), 10 * len(names))


@pytest.mark.parametrize(
    "names",
    [
        ["Positive", "positive", "POSITIVE"],
        ["not good", "not  good", "not_good", "not-good"],
        ["caf\u00e9", "cafe"],
        ["\uff41\uff42", "ab"],
        ["good\u200b", "good"],
        ["1", "1.0", "01"],
        ["2,5", "2.5"],
        ["good", "good.", "'good'"],
        ["\u0441\u043e\u0440", "cop"],
    ],
)
def test_spellings_of_one_name_are_named_with_their_rows_and_a_line_of_pandas(names):
    rows = {name: 10 + k for k, name in enumerate(names)} | {"else": 30}
    said = [sentence for sentence in warned(rows) if "spelling" in sentence]
    assert len(said) == 1 and all(f"{name!r} ({rows[name]} rows)" in said[0] for name in names)
    line = said[0].partition("pandas: ")[2]
    pandas = pytest.importorskip("pandas")
    df = pandas.DataFrame({"label": [*names, "else"]})
    exec(line, {"df": df})
    assert set(df["label"]) == {names[-1], "else"}  # the most frequent one


@pytest.mark.parametrize(
    "names",
    [
        ["positive;short", "negative;short", "positive", "negative"],
        ["a|b", "b|c", "d"],
        ["a, b", "b, c"],
        ["['a', 'b']", "['a']"],
        ["red/blue", "blue", "red"],
    ],
)
def test_labels_that_look_like_lists_are_named(names):
    said = [sentence for sentence in warned(dict.fromkeys(names, 10)) if "lists" in sentence]
    assert len(said) == 1 and repr(names[0]) in said[0]


def test_what_stands_for_a_missing_label_and_a_repeated_header_are_named():
    assert "'nan' (3 rows) look(s) like a missing label" in warned({"good": 5, "bad": 5, "nan": 3})[0]
    assert "wrong encoding" in warned({"emoción".encode().decode("cp1252"): 5, "calma": 5})[0]
    assert "header line" in warned({"good": 5, "bad": 5, "label": 1})[0]
    assert "long texts" in warned({"good": 5, "x" * 200: 5})[0]


def test_numbers_to_be_predicted_are_refused_and_the_way_out_is_said():
    message = refused([f"{x:.2f}" for x in np.linspace(-4, 4, 50)], 5000)
    assert "50 different numbers in 5,000 rows, such as '-3.84'" in message and "pd.cut(df['label'], 3" in message
    assert "looks like a number" in refused(["12.5 %", "3.7 %", "9.9 %"], 3)
    assert "looks like a number" in refused(["-2,70", "3,88", "1,55"], 3)
    assert "looks like a number" in refused([*(f"{x}.5" for x in range(40)), "n/a"], 5000)
    assert "a number to be predicted" in refused([str(x) for x in range(100)], 150)


def test_a_scale_that_may_be_classes_is_told():
    halves = {f"{x / 2}": 100 for x in range(1, 11)}
    check_labels(FILE, "data.csv.label_column", "label", list(halves), 1000, 1000)
    assert warned(halves)[0].startswith("The 10 labels are numbers, such as '0.5', and are trained as that many classes")
    assert "101 labels are numbers" in warned({str(x): 100 for x in range(101)})[0]


def test_swapped_columns_are_refused():
    message = refused([f"a long text {k}" for k in range(30)], rows=30, texts=2)
    assert "30 different labels" in message and "2 different texts" in message and "swapped" in message


def test_one_text_for_all_rows_is_refused():
    assert "for one text only, which all rows have; is the text_column" in refused(["a", "b"], rows=100, texts=1)


def test_the_suggested_bins_are_three_classes():
    pandas = pytest.importorskip("pandas")
    line = refused([f"{x:.2f}" for x in np.linspace(-4, 4, 50)], 5000).partition("with pandas: ")[2]
    df = pandas.DataFrame({"label": np.linspace(-4, 4, 30)})
    exec(line, {"df": df, "pd": pandas})
    assert df["label"].value_counts().to_dict() == {"low": 10, "middle": 10, "high": 10}
