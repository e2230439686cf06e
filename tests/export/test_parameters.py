"""Cards quote the parameters that made the model, not those that params.yaml holds by now."""

import hashlib
from pathlib import Path

import pytest
import yaml

from stages.export.parameters import parameters_as_made
from stages.project.errors import UserError
from stages.project.files import write_json
from stages.project.paths import DETAILS, METRICS, TRAINING_METRICS

LEFT = {"fetch": None, "prepare": METRICS / "data.json", "train_lora": TRAINING_METRICS / "lora.json"}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch, params) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(params.model_dump()))
    for path in [*filter(None, LEFT.values()), DETAILS / "lora.json"]:
        write_json(path, {"n": 1})


def lock(**recorded: str) -> None:
    """Write a dvc.lock whose stages read the parameters `recorded` (YAML) and left the files that are there."""
    stages = {}
    for stage, text in recorded.items():
        path = LEFT.get(stage, DETAILS / "lora.json")
        outs = [{"path": path.as_posix(), "md5": hashlib.md5(path.read_bytes()).hexdigest()}] if path else []
        stages[stage] = {"outs": outs, "params": {"params.yaml": yaml.safe_load(text)}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def test_dvc_lock_counts_before_params_yaml(capsys, params):
    lock(
        fetch="{data.source: csv, data.csv.path: mine.csv}",
        prepare="{seed: 1, data.max_length: 64}",
        train_lora="{seed: 2, train.learning_rate.lora: 5e-05, awp: {enabled: false, epsilon: 1e-3}, peft.rank: 4, gone.key: 1}",
        evaluate="{seed: 3, evaluate: {confidence: 0.9}}",
    )
    made = parameters_as_made("lora", evaluated=True)
    assert (made.data.source, made.data.csv.path, made.data.max_length) == ("csv", "mine.csv", 64)
    assert (made.seed, made.train.learning_rate.lora, made.peft.rank) == (2, 5e-5, 4)
    assert (made.awp.enabled, made.awp.epsilon, made.awp.window_start) == (False, 1e-3, params.awp.window_start)
    assert made.evaluate.confidence == 0.9 and made.mixout == params.mixout
    assert capsys.readouterr().out == ""


def test_a_stage_that_dvc_did_not_run_is_named(capsys, params):
    assert parameters_as_made("lora", evaluated=False) == params
    assert "dvc.lock does not record fetch, prepare, train_lora; the card quotes params.yaml" in capsys.readouterr().out
    lock(fetch="{data.source: csv}", prepare="{data.limit: 5}", train_lora="{peft.rank: 4}")
    write_json(TRAINING_METRICS / "lora.json", {"n": 2})  # by a training without DVC
    made = parameters_as_made("lora", evaluated=False)
    assert (made.data.limit, made.peft.rank) == (5, params.peft.rank)
    assert "dvc.lock does not record train_lora; " in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "stages: [", "stages: 1", "stages: {fetch: 1, prepare: {outs: 1}, train_lora: {}}"])
def test_a_damaged_lock_records_nothing(capsys, params, content):
    Path("dvc.lock").write_text(content)
    assert parameters_as_made("lora", evaluated=False) == params
    assert "does not record fetch, prepare, train_lora;" in capsys.readouterr().out


def test_contradictions_are_one_line():
    lock(fetch="{}", prepare="{data.source: hub}", train_lora="{}")
    with pytest.raises(UserError, match=r"^models/lora: dvc.lock and params.yaml contradict: data.hub: .*dvc repro`.*$"):
        parameters_as_made("lora", evaluated=False)
