"""A model that DVC brought back gets its own record back, or one that says that there is none."""

import json

import pytest

from stages.evaluate.records import restore_record
from stages.project.parameters import load_params
from stages.project.provenance import kept_records, provenance, write_provenance
from stages.project.revision import NOT_RECORDED
from stages.project.schema import Params
from tests.training.tiny import prepare, write_params


@pytest.fixture
def train(project, params):
    """A function that leaves what a training with a patience would: weights of given content, and their record."""
    prepare(project)

    def train(patience: int, weights: str) -> Params:
        write_params(project, params, patience=patience)
        (project / "models/lora").mkdir(parents=True, exist_ok=True)
        (project / "models/lora/model.safetensors").write_text(weights)
        write_provenance("train_lora", provenance("train_lora", load_params()), [project / "models/lora"])
        return load_params()

    return train


def shown(project) -> dict:
    return json.loads((project / "metrics/provenance/train_lora.json").read_text())


def test_the_record_follows_the_model(project, train):
    first = train(1, "first")
    record = shown(project)
    train(2, "second")
    restore_record("train_lora", load_params(), project / "models/lora")
    assert shown(project)["inputs"]["parameter train.patience"] == "2"  # its own already
    (project / "models/lora/model.safetensors").write_text("first")  # as the run cache does
    restore_record("train_lora", first, project / "models/lora")
    assert shown(project) == record


def test_of_two_records_of_the_same_bytes_that_of_the_same_parameters_is_taken(project, train):
    first = train(1, "same")
    record = shown(project)
    train(2, "same")
    restore_record("train_lora", first, project / "models/lora")
    assert shown(project) == record


def test_a_model_without_a_record_is_not_given_that_of_another(project, train):
    params = train(1, "first")
    (project / "models/lora/model.safetensors").write_text("pulled")
    restore_record("train_lora", params, project / "models/lora")
    record = shown(project)
    assert (record["revision"], record["history"]) == (None, NOT_RECORDED)
    assert set(record["inputs"].values()) == {"unknown"}
    assert list(record["outputs"]) == [str(project / "models/lora")]


def test_records_of_a_queued_experiment_are_kept_in_the_checkout(project, monkeypatch):
    folder = project / ".dvc/tmp/exps/tmp1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert kept_records("train_lora") == project / ".cache/records/train_lora"
