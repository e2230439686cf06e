"""Where predictions are written: a file that cannot be written is refused first, and a failure leaves nothing behind."""

from pathlib import Path

import pytest

from stages.predict import classify
from stages.predict import stage as predict
from stages.predict.output import opened_output
from stages.project.errors import UserError
from tests.checkpoints import make_checkpoint


def refused(output: str) -> str:
    with pytest.raises(UserError) as error:
        predict.main(["--method", "lora", "--output", output, "w1"])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("notes.txt/out.csv", "notes.txt is not a folder"),
        ("notes.txt/new/out.csv", "notes.txt is not a folder"),
        (f"new/{'x' * 300}.csv", "File name too long"),
        ("/sys/out.csv", ""),  # not even for root: PermissionError, or a file system that is read only
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_model_is_loaded(project, params, monkeypatch, output, reason):
    make_checkpoint("lora", params)
    Path("notes.txt").write_text("mine")
    before = sorted(Path(".").rglob("*"))
    monkeypatch.setattr(classify, "Classifier", None)
    message = refused(output)
    assert message.startswith(f"{output}: cannot be written ({reason}") and "give --output a file" in message
    assert sorted(Path(".").rglob("*")) == before and Path("notes.txt").read_text() == "mine"


def test_a_model_that_cannot_be_loaded_leaves_the_output_as_it_was(project, params):
    (make_checkpoint("lora", params) / "adapter_model.safetensors").write_bytes(b"")
    assert refused("new/folder/out.csv").startswith("models/lora: damaged")
    assert not Path("new").exists()
    Path("old.csv").write_text("mine")
    refused("old.csv")
    assert Path("old.csv").read_text() == "mine" and not list(Path(".").glob(".old*"))


def test_a_device_is_written_to_and_not_replaced():
    with opened_output(Path("/dev/null")) as stream:
        stream.write("text")
    assert Path("/dev/null").is_char_device()
