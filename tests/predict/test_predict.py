"""Predicting new texts: the same numbers as one text at a time, in order, and one message for every mistake."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.classifier.splits import load_tokenizer
from stages.predict import classify
from stages.predict import stage as predict
from stages.predict.classify import Classifier, softmax
from stages.predict.output import table_lines
from stages.project.errors import UserError
from stages.project.running import only_stage
from tests.checkpoints import LABELS, MAX_LENGTH, make_checkpoint, one_by_one, random_texts
from tests.imports import ROOT
from tests.stopping import interruptible

COLUMNS = ["text", "label", "p_negative", "p_so_so", "p_positive"]


@pytest.fixture
def lora(project, params) -> Path:
    return make_checkpoint("lora", params, recorded=False)


def refused(*arguments: str) -> str:
    with pytest.raises(UserError) as error:
        predict.main(arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def printed(capsys, *arguments: str) -> list[dict[str, str]]:
    predict.main(arguments)
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize("method", ["full", "lora", "adapter"])
def test_bulk_equals_one_text_at_a_time(project, params, method, monkeypatch):
    folder, texts = make_checkpoint(method, params), random_texts(50)
    monkeypatch.setattr(classify, "CHUNK", 16)  # the last chunk is a part
    predictions = list(Classifier(folder, merge=method == "lora").predict(iter(texts), batch_size=7))
    expected = one_by_one(folder, texts)
    assert [prediction.text for prediction in predictions] == texts
    np.testing.assert_allclose([prediction.probabilities for prediction in predictions], expected, atol=2e-6)
    assert [prediction.label for prediction in predictions] == [LABELS[k] for k in expected.argmax(axis=1)]
    assert np.ptp(expected, axis=0).max() > 0.01  # a shuffled order would have been seen


def test_texts_are_cut_to_the_length_of_training_without_params_yaml(lora):
    assert not Path("params.yaml").exists()
    start = " ".join(["w1", "w2"] * 5)  # 10 words, [CLS] and [SEP]
    short, same, other = Classifier(lora, merge=True).predict([start, start + " w9" * 500, "w9 " + start], 1)
    assert np.array_equal(short.probabilities, same.probabilities)
    assert not np.array_equal(short.probabilities, other.probabilities)
    assert load_tokenizer(lora).model_max_length == MAX_LENGTH
    assert load_tokenizer(Path("models/base")).model_max_length == 32


def test_chunks_are_read_as_they_are_needed(lora, monkeypatch):
    monkeypatch.setattr(classify, "CHUNK", 4)
    taken = []
    predictions = Classifier(lora).predict((taken.append(i) or "w1" for i in range(100)), batch_size=2)
    next(predictions)
    assert len(taken) == 4


def test_softmax_of_large_logits():
    p = softmax(np.array([[1000, 1000], [-1000, 1000], [0, np.log(3)]], dtype=np.float32))
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, [[0.5, 0.5], [0, 1], [0.25, 0.75]], atol=1e-7)


def test_the_three_formats_say_the_same(lora, capsys):
    texts = ['w1, "w2"\nw3', "w4 é\x1b[31m"]
    expected = one_by_one(lora, texts)
    rows = printed(capsys, "--method", "lora", *texts)
    assert list(rows[0]) == COLUMNS and [row["text"] for row in rows] == texts
    numbers = [[float(row[name]) for name in COLUMNS[2:]] for row in rows]
    np.testing.assert_allclose(numbers, expected, atol=2e-6)
    predict.main([texts[0], "--format", "jsonl", "--method", "lora", texts[1]])
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(row["probabilities"].values()) for row in objects] == numbers
    assert [(row["text"], row["label"]) for row in objects] == [(row["text"], row["label"]) for row in rows]
    predict.main(["--method", "lora", "--format", "table", *texts])
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["label", *LABELS, "text"]
    assert [line.split()[:4] for line in lines] == [[row[name] for name in COLUMNS[1:]] for row in rows]
    assert lines[1].endswith("w4 é\\x1b[31m")  # a terminal is not told to print in red


def test_a_table_fits_its_width():
    prediction = ("a" * 500, "x", np.array([0.25, 0.75]))
    for values in ([], ["b" * 500]):
        lines = list(table_lines([(prediction, values)], ["x", "y"], ["id"][: len(values)], 80))
        assert len(lines[1]) == 81 and lines[1].endswith("aaa...\n")


@pytest.mark.parametrize(
    ("output", "terminal", "expected"),
    [(None, True, "table"), (None, False, "csv"), (Path("a.jsonl"), True, "jsonl"), (Path("a.txt"), True, "csv")],
)
def test_the_default_format(output, terminal, expected):
    assert predict.default_format(output, terminal) == expected


def test_a_file_of_lines_and_a_column_of_csv(lora, capsys):
    texts = random_texts(5)
    Path("lines.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(texts).encode())
    with open("table.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "my text"], *enumerate(texts)])
    plain = printed(capsys, "--method", "lora", "--file", "lines.txt")
    table = printed(capsys, "--method", "lora", "--file", "table.csv", "--text-column", "my text", "--batch-size", "1")
    assert [row["text"] for row in plain] == [row["text"] for row in table] == texts
    assert [row["label"] for row in plain] == [row["label"] for row in table]


@pytest.mark.parametrize(
    ("content", "column", "part"),
    [
        (b"", None, "reviews: contains no text"),
        (b"t\n", "t", "contains no text below the header"),
        (b"a\n\nb\n", None, "line 2 is empty"),
        (b"a\n \t\r\n", None, "line 2 is empty"),
        (b"a\nb\xe4\n", None, "line 2 contains the byte 0xe4, which is not UTF-8"),
        (b"a\nb\0\n", None, "line 2 contains a NUL"),
        ("ä".encode("utf-16-le"), None, "line 1 contains a NUL"),
        (b"a\nb\xe4\n\nc\xe4\n", None, "lines 2 and 4 contain bytes that are not UTF-8, line 3 is empty; save it"),
        (b"t,x\na,1\n,2\n", "t", "line 3 is empty in column 't'"),
        (b"t,x\na\n", "t", "line 2 has 1 field, the header has 2"),
        (b"a,b\n1,2\n", "t", "no column 't'; the columns are ['a', 'b']; name one of them with --text-column"),
        (b"t,t\n1,2\n", "t", "2 columns are called 't'"),
        (b't\nok\n"open\n\n', "t", "the row that begins in line 3 is not valid CSV"),
    ],
)
def test_a_damaged_file_is_refused_before_anything_is_predicted(lora, capsys, content, column, part):
    Path("reviews").write_bytes(content)
    message = refused("--method", "lora", "--file", "reviews", *(["--text-column", column] if column else []))
    assert message.startswith("reviews: ") and part in message
    assert capsys.readouterr().out == ""


def test_what_is_missing_is_named(project, params):
    message = refused("--method", "lora", "w1")
    assert message.startswith("models/lora: no trained model there; `dvc repro train_lora` trains it")
    make_checkpoint("adapter", params)
    adapter = ("--method", "adapter")
    assert refused(*adapter, "--file", "absent.txt").startswith("absent.txt: no such file")
    assert refused(*adapter, "--file", "models").startswith("models: a folder")
    assert refused(*adapter, "--file", "models/base/config.json/x").startswith("models/base/config.json/x: no such file")
    assert "x: cannot be read (File name too long); give" in refused(*adapter, "--file", "x" * 300)
    assert refused(*adapter, "--output", "models", "w1").startswith("models: a folder")
    assert refused(*adapter, "w1", " ").startswith("text 2 of the command line is empty")
    assert "'w\\udce4', is not UTF-8" in refused(*adapter, "w\udce4")
    Path("a.CSV").write_text("t\nw1\n")
    assert "name it with --text-column" in refused(*adapter, "--file", "a.CSV")
    Path("models/base").rename("models/elsewhere")
    assert "its base model models/base is not there" in refused(*adapter, "w1")


@pytest.mark.parametrize(
    "arguments", [["--method", "prefix", "w1"], ["--batch-size", "0", "w1"], ["--file", "x", "w1"], ["--format", "xml", "w1"]]
)
def test_a_wrong_command_line_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        predict.main(arguments)
    assert ended.value.code == 2 and "usage: python -m stages.predict" in capsys.readouterr().err


def test_an_output_file_is_written_whole_or_not_at_all(lora, monkeypatch):
    predict.main(["--method", "lora", "--output", "out/a.csv", "w1", "w2"])
    before = Path("out/a.csv").read_bytes()
    assert before.count(b"\n") == 3 and b"\r" not in before
    monkeypatch.setattr(classify, "CHUNK", 2)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"w1\nw2\nw3\n\n")))
    assert refused("--method", "lora", "--output", "out/a.csv").startswith("standard input: line 4 is empty")
    assert Path("out/a.csv").read_bytes() == before and list(Path("out").iterdir()) == [Path("out/a.csv")]


def test_logits_that_are_not_finite_are_refused(lora):
    classifier = Classifier(lora, merge=True)
    torch.nn.init.constant_(classifier.model.classifier.bias, float("nan"))
    with pytest.raises(UserError, match="models/lora: 2 of 2 texts have logits that are not finite"):
        list(classifier.predict(["w1", "w2"], 2))


def launch(folder: Path, *arguments: str, **pipes) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "stages.predict", "--method", "lora", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=interruptible,
        **pipes,
    )


@pytest.mark.slow
def test_a_closed_pipe_ends_without_a_traceback(project, lora):
    Path("many.txt").write_text("w1 w2\n" * 4_000)
    process = launch(project, "--file", "many.txt")
    assert process.stdout.readline() == b"text,label,p_negative,p_so_so,p_positive\n"
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", -signal.SIGPIPE)
    process.stderr.close()


@pytest.mark.slow
def test_ctrl_c_ends_without_a_traceback(project, lora):
    process = launch(project, stdin=subprocess.PIPE)  # waits for texts that never come
    while b"torch" not in Path(f"/proc/{process.pid}/maps").read_bytes():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert (output, errors.strip(), process.returncode) == (b"", b"stopped", -signal.SIGINT)


def test_a_running_stage_is_no_obstacle(lora, capsys):
    with only_stage("train_lora"):
        assert len(printed(capsys, "--method", "lora", "w1")) == 1


@pytest.mark.parametrize("method", ["full", "lora", "adapter"])
def test_the_precision_of_the_forward_pass_can_be_chosen(project, params, method, capsys):
    """In bfloat16 the probabilities are rounded ones of the same model, and the output has the same form."""
    make_checkpoint(method, params, recorded=False)
    texts = random_texts(20)
    exact = printed(capsys, "--method", method, "--format", "csv", *texts)
    rounded = printed(capsys, "--method", method, "--format", "csv", "--precision", "bf16", *texts)
    assert exact[0].keys() == rounded[0].keys() and exact != rounded
    for one, other in zip(exact, rounded, strict=True):
        for name in LABELS:
            assert float(one[f"p_{name}"]) == pytest.approx(float(other[f"p_{name}"]), abs=0.03)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in fp16")
def test_fp16_without_a_gpu_is_refused(lora):
    message = refused("--method", "lora", "--precision", "fp16", "w1")
    assert message.startswith("--precision: fp16 needs a GPU (CUDA), received fp16")
