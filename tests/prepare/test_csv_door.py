"""Any CSV file is either prepared, with splits as they must be, or refused in one message, with nothing changed."""

import csv
import io
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.classifier.splits import SPLITS, load_labels, load_split
from stages.prepare import stage as prepare
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.texts.normal_form import identity, normalise
from tests.imports import ROOT

settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.load_profile("steady")
GOOD = (ROOT / "examples/reviews.csv").read_bytes()
RAW = Path("data/fetched/reviews.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The current folder: a project whose data is a CSV file with the columns text and label; prepared once."""
    place, before = tmp_path_factory.mktemp("csv"), Path.cwd()
    os.chdir(place)
    RAW.parent.mkdir(parents=True)
    Path("models").mkdir()
    Path("models/base").symlink_to(ROOT / "examples/tiny-bert")
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["data"]["source"] = "csv"
    Path("params.yaml").write_text(yaml.safe_dump(content))
    RAW.write_bytes(GOOD)
    prepare.main()
    yield place
    os.chdir(before)


def outputs() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for root in ("data/processed", "metrics") for path in Path(root).rglob("*")}


def check_splits(files: dict[str, bytes], column: bool = False) -> bool:
    """As `check` for a folder of files, or for one file with the column split; also that a given test set stays as it is."""
    shutil.rmtree("data/fetched")
    RAW.parent.mkdir()
    for name, content in files.items():
        Path("data/fetched", f"{name}.csv").write_bytes(content)
    parameters = Path("params.yaml").read_text()
    content = yaml.safe_load(parameters)
    content["data"]["csv"]["split_column"] = "split" if column else None
    Path("params.yaml").write_text(yaml.safe_dump(content))
    before = outputs()
    try:
        prepare.main()
        fault = None
    except UserError as error:
        fault = str(error)
    finally:
        shutil.rmtree("data/fetched")
        RAW.parent.mkdir()
        Path("params.yaml").write_text(parameters)
    if fault is not None:
        assert ("examples/reviews.csv" in fault or "class" in fault) and len(fault) < 2000 and outputs() == before
        return False
    read = [
        (row["split"] if column else name, identity(row["text"]), row["label"].strip())
        for name, content in files.items()
        for row in csv.DictReader(io.StringIO(content.decode(), newline=""))
    ]
    names = load_labels()
    kept = [(split, identity(row["text"]), names[row["label"]]) for split in SPLITS for row in load_split(split)]
    place = {text: split for split, text, _ in kept}
    assert all(place[text] == split for split, text, _ in kept)  # none in two splits
    given = {split for split, _, _ in read}
    for split in given - {"train"}:
        rows = [row for row in read if row[0] == split]
        if split == "test":
            assert sorted(row for row in kept if row[0] == "test") == sorted(rows)
        assert {row for row in kept if row[0] == split} <= set(rows)
    assert set(names) == {label for _, _, label in read}
    assert all({label for split, _, label in kept if split == name} == set(names) for name in SPLITS)
    assert {(text, label) for _, text, label in kept} <= {(text, label) for _, text, label in read}
    assert all(1 <= len(row["input_ids"]) <= 128 for split in SPLITS for row in load_split(split))
    metrics = read_json("metrics/data.json")
    assert metrics["rows_read"] == len(read) == len(kept) + sum(metrics[key] for key in metrics if key.startswith("dropped_"))
    return True


def check(content: bytes) -> bool:
    """Whether `content` is accepted; checks the splits, or the message and that the last outputs are unchanged."""
    RAW.write_bytes(content)
    before = outputs()
    try:
        prepare.main()
        fault = None
    except UserError as error:
        fault = str(error)
    if fault is not None:
        assert "examples/reviews.csv" in fault or "class" in fault or "data." in fault
        assert len(fault) < 2000 and outputs() == before
        assert not list(Path("data").glob(".*"))
        return False
    given_labels = {}
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")):
        given_labels.setdefault(identity(row["text"]), set()).add(row["label"].strip())
    names, rows = load_labels(), {name: list(load_split(name)) for name in SPLITS}
    texts = [row["text"] for name in SPLITS for row in rows[name]]
    assert len({identity(text) for text in texts}) == len(texts)  # none twice, in one split or in two
    for row in (row for name in SPLITS for row in rows[name]):
        assert given_labels[identity(row["text"])] == {names[row["label"]]}
        assert row["text"] == normalise(row["text"]) != ""
        assert 1 <= len(row["input_ids"]) == row["length"] <= 128
    kept = {text for text, labels in given_labels.items() if len(labels) == 1 and text}
    assert {identity(text) for text in texts} == kept
    assert all({row["label"] for row in rows[name]} == set(range(len(names))) for name in SPLITS)
    metrics = read_json("metrics/data.json")
    assert metrics["rows_read"] == len(texts) + sum(metrics[key] for key in metrics if key.startswith("dropped_"))
    return True


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
words = st.lists(st.sampled_from(["good", "bad", "the", "kettle", "a,b", 'say "yes"', "two\nlines", "é", "  "]), max_size=6).map(
    " ".join
)
label = st.sampled_from(["pos", "neg", "pos ", "neutral"]) | st.sampled_from(["pos", "neg"])


@pytest.mark.slow
@settings(max_examples=150)
@given(
    rows=st.lists(st.tuples(text | words, label), max_size=40), repeat=st.booleans(), dialect=st.sampled_from(["excel", "unix"])
)
def test_any_rows(folder, rows, repeat, dialect):
    if repeat:  # enough of each class for three splits
        rows = [(f"{value} {i}", name) for i in range(8) for value, name in rows]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, dialect=dialect).writerows([("text", "label"), *rows])
    check(buffer.getvalue().encode())


@pytest.mark.slow
@settings(max_examples=200)
@given(
    start=st.integers(0, len(GOOD)),
    length=st.sampled_from([0, 1, 5, 1000, len(GOOD)]),
    piece=st.binary(max_size=8) | st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b'""', b"\n,\n"]),
)
def test_any_edit_of_a_good_file(folder, start, length, piece):
    check(GOOD[:start] + piece + GOOD[start + length :])


@pytest.mark.slow
@settings(max_examples=150)
@given(
    rows=st.lists(st.tuples(text | words, label, st.sampled_from([*SPLITS, "train"])), max_size=40),
    splits=st.sets(st.sampled_from(SPLITS)),
    repeat=st.booleans(),
    column=st.booleans(),
)
def test_any_rows_in_any_given_splits(folder, rows, splits, repeat, column):
    if repeat:
        rows = [(f"{value} {i}", name, split) for i in range(8) for value, name, split in rows]
    check_splits(as_files([row for row in rows if row[2] in splits | {"train"}], column), column)


def as_files(rows: list[tuple[str, str, str]], column: bool) -> dict[str, bytes]:
    """Rows of text, label and split as one file, or as one file a split."""
    files = {}
    for name in ["reviews"] if column else dict.fromkeys(["train", *(split for _, _, split in rows)]):
        buffer = io.StringIO(newline="")
        mine = [row[: 2 + column] for row in rows if column or row[2] == name]
        csv.writer(buffer).writerows([("text", "label", "split")[: 2 + column], *mine])
        files[name] = buffer.getvalue().encode()
    return files


@pytest.mark.parametrize("column", [False, True])
def test_good_splits_are_accepted(folder, column):
    rows = [(f"text {i}", str(i % 2), "train") for i in range(80)] + [(f"text {i}", str(i % 2), "test") for i in range(70, 90)]
    assert check_splits(as_files(rows, column), column)
    metrics = read_json("metrics/data.json")
    assert (metrics["dropped_in_other_split"], metrics["test_rows"], metrics["validation_rows"]) == (10, 20, 9)
    again = [("same", "0", "test"), ("Same", "1", "test"), ("same", "1", "train")]
    assert check_splits(as_files([*rows, *again], column), column)
    assert read_json("metrics/data.json")["test_rows"] == 22
    fixed = [(text, label, "validation" if i % 8 < 2 else split) for i, (text, label, split) in enumerate(rows)]
    assert check_splits(as_files(fixed, column), column)


def test_good_files_are_accepted(folder):
    assert check(GOOD)
    assert check(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"))
    rows = "".join(f'"kettle ""{i}"",\n{"word " * 200}",{i % 3}\n' for i in range(60))
    assert check(f"text,label\n{rows}".encode())


def test_the_same_text_with_two_labels_is_dropped_and_counted(folder):
    rows = "".join(f"text {i},{i % 2}\n" for i in range(40))
    assert check(f"text,label\n{rows}Both,0\nboth,1\n".encode())
    assert read_json("metrics/data.json")["dropped_conflicting"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"text,label\n" + b"good,1\nbad,0\n", ["too few rows after cleaning: '0' (1)", "data.rare_classes"]),
        (b"text,label\ncaf\xe9,1\n", ["line 2 contains the byte 0xe9"]),
    ],
)
def test_the_command_ends_in_one_message(folder, content, parts):
    before = outputs()
    RAW.write_bytes(content)
    command = [sys.executable, "-m", "stages.prepare"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ") and [part for part in parts if part not in done.stderr] == []
    assert outputs() == before


@pytest.mark.slow
def test_a_full_disk_ends_in_one_message_and_leaves_the_last_result(folder):
    RAW.write_bytes(GOOD)
    before = outputs()
    done = subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ") and "File too large" in done.stderr
    assert outputs() == before
