"""Copying the user's own tables: one file, files that say their split, or files that parameters name."""

import shutil
from pathlib import Path

import pytest

from stages.fetch.local_data import copy_data
from stages.prepare.user_files import user_files
from stages.project.errors import UserError
from tests.imports import ROOT

ROW = b"text,label\r\ncaf\xe9,1\r\n"  # not UTF-8: nothing is decoded here


@pytest.fixture
def fetched(tmp_path, monkeypatch, params):
    """A function that makes the files whose names it is given, copies what the parameters ask for, and returns the copies."""
    monkeypatch.chdir(tmp_path)
    csv = params.data.csv

    def run(*names: str, path: str = "mine", **parameters) -> dict[str, tuple[str, str]]:
        shutil.rmtree("mine", ignore_errors=True)
        shutil.rmtree("out", ignore_errors=True)
        Path("out").mkdir()
        for name in names:
            Path("mine", name).parent.mkdir(parents=True, exist_ok=True)
            Path("mine", name).write_bytes(ROW)
        given = csv.model_copy(update={"path": path, **parameters})
        copy_data(given, Path("out"))
        assert all(file.read_bytes() == ROW for file in Path("out").iterdir())
        return {split: (file.name, name) for split, (file, name) in user_files(Path("out"), given).items()}

    return run


@pytest.mark.parametrize(
    ("name", "copy"),
    [("a.csv", "reviews.csv"), ("a (1) é.TSV", "reviews.tsv"), ("a.jsonl", "reviews.jsonl"), ("a", "reviews.csv")],
)
def test_one_file_is_copied_byte_for_byte(fetched, name, copy):
    assert fetched(name, path=f"mine/{name}") == {"train": (copy, f"mine/{name}")}


@pytest.mark.parametrize("word", ["validation", "valid", "val", "dev", "Dev", "VALIDATION"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_the_files_of_a_folder_are_known_by_the_words_of_a_column(fetched, word, suffix):
    files = fetched(f"train{suffix}", f"{word}{suffix}", "test.csv", ".gitignore", "README.md", "train.csv.dvc", "LICENSE")
    assert list(files) == ["train", "validation", "test"]
    assert files["validation"] == (f"{word}{suffix}", f"mine/{word}{suffix}")


def test_files_of_any_name_are_named_by_parameters(fetched, capsys):
    names = {"train_file": "2023/all.jsonl", "validation_file": "b.csv", "test_file": "train.parquet"}
    files = fetched(*names.values(), "draft.csv", **names)
    assert files == {
        "train": ("train.jsonl", "mine/2023/all.jsonl"),
        "validation": ("validation.csv", "mine/b.csv"),
        "test": ("test.parquet", "mine/train.parquet"),
    }
    assert "mine: not named, so not read: draft.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "parameters", "message"),
    [
        (
            (),
            {"path": "absent.csv"},
            r"data\.csv\.path: absent\.csv is neither a file .*commit it, or `dvc add` it .*absolute path",
        ),
        (
            ("a.csv",),
            {},
            r"the folder mine has no file for train, it contains a\.csv; expected .*train\.csv; or name them in data",
        ),
        (("valid.csv",), {}, r"has no file for train, it contains valid\.csv"),
        (("train.csv", "holdout.csv", "x/test.csv"), {}, r"the folder mine contains holdout\.csv, x, which no split would use"),
        (("train.csv", "val.csv", "dev.csv"), {}, r"mine: dev\.csv and val\.csv are both for validation; remove or rename one"),
        (("train.csv", "train.jsonl"), {}, r"train\.csv and train\.jsonl are both for train"),
        (("train.xlsx",), {}, r"mine/train\.xlsx: is a workbook; save the table as CSV UTF-8"),
        (("a.csv.gz",), {"path": "mine/a.csv.gz"}, r"a\.csv\.gz: is compressed; unpack it first"),
        (("a.csv",), {"train_file": "b.csv"}, r"data\.csv\.train_file: mine/b\.csv: no such file; the folder contains a\.csv"),
        (("a.csv",), {"train_file": "../out"}, r"'\.\./out' is outside of data\.csv\.path \(mine\), so DVC would not see"),
        (("a.csv",), {"train_file": "a.csv", "test_file": "a.csv"}, r"each split needs a file of its own, .*test_file: 'a\.csv'"),
        (
            ("a.csv",),
            {"path": "mine/a.csv", "train_file": "a.csv"},
            r"train_file: 'a\.csv', but data\.csv\.path \(mine/a\.csv\) is a",
        ),
    ],
)
def test_what_cannot_be_used_is_named(fetched, names, parameters, message):
    with pytest.raises(UserError, match=message) as caught:
        fetched(*names, **parameters)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_refused(fetched, tmp_path):
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match=r"empty\.csv is empty"):
        fetched(path="empty.csv")


def test_a_table_in_data_raw_is_no_output_of_ours():
    """DVC refuses a dependency inside an output, and deletes outputs: the usual place for tables of one's own is neither."""
    assert "data/raw" not in (ROOT / "dvc.yaml").read_text() + (ROOT / ".gitignore").read_text()
