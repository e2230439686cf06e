"""The committed results belong to the committed code, data definition and parameters."""

import hashlib
import json

import pytest
import yaml

from stages.project.parameters import load_params
from stages.project.schema import METHODS
from stages.report import tables
from stages.report.facts import load_facts
from stages.report.stage import render
from tests.imports import ROOT

LOCK = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]


@pytest.fixture
def facts(monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_facts(load_params())


def md5(path: str) -> str:
    return hashlib.md5((ROOT / path).read_bytes()).hexdigest()


@pytest.mark.parametrize("stage", LOCK)
def test_the_lock_has_the_hash_of_every_committed_file(stage):
    """What a stage read and wrote, where it is a file in git, is what is committed."""
    entries = [entry for kind in ("deps", "outs") for entry in LOCK[stage].get(kind, [])]
    committed = [entry for entry in entries if not entry["path"].startswith(("data/", "models/")) and "files" not in entry]
    committed = [entry for entry in committed if (ROOT / entry["path"]).is_file()]
    assert len(committed) > 5
    assert [entry["path"] for entry in committed if md5(entry["path"]) != entry["md5"]] == []


@pytest.mark.parametrize("stage", LOCK)
def test_the_lock_has_the_committed_parameters(stage):
    params = load_params(ROOT / "params.yaml").model_dump()
    for key, value in LOCK[stage]["params"]["params.yaml"].items():
        expected = params
        for part in key.split("."):
            expected = expected[part]
        # DVC writes 5e-05 into the lock, which YAML 1.1 reads as a string
        assert (float(value) if isinstance(expected, float) else value) == expected, key


def test_every_stage_is_locked():
    assert set(LOCK) == set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])


def test_the_report_and_the_readme_say_what_the_metric_files_say(facts):
    assert (ROOT / "REPORT.md").read_text() == render(facts)
    assert tables.headline(facts) in (ROOT / "README.md").read_text()


def test_the_learning_rates_are_the_best_of_the_table(facts):
    for method, rows in facts.learning_rates.groupby("method"):
        best = rows.loc[rows["validation_f1"].idxmax(), "learning_rate"]
        assert getattr(facts.params.train.learning_rate, method) == best


def test_counts_on_the_embedded_model():
    expected = {"full": 22_713_216, "lora": 147_456, "adapter": 297_600}
    for method in METHODS:
        metrics = json.loads((ROOT / f"metrics/{method}.json").read_text())
        assert (metrics["trainable_body_parameters"], metrics["trainable_head_parameters"]) == (expected[method], 770)
