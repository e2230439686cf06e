"""The committed results agree with each other; whether they belong to the committed code is what `dvc status` says."""

import json

import pytest

from stages.project.parameters import load_params
from stages.project.schema import METHODS
from stages.report import tables
from stages.report.facts import load_facts
from tests.imports import ROOT


@pytest.fixture
def facts(monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_facts(load_params())


def test_the_report_and_the_readme_say_what_the_metric_files_say(facts):
    for name in ("REPORT.md", "README.md"):
        assert tables.headline(facts) in (ROOT / name).read_text(), name


def test_the_learning_rates_are_the_best_of_the_table(facts):
    for method, rows in facts.learning_rates.groupby("method"):
        best = rows.loc[rows["validation_f1"].idxmax(), "learning_rate"]
        assert getattr(facts.params.train.learning_rate, method) == best


def test_counts_on_the_embedded_model():
    expected = {"full": 22_713_216, "lora": 147_456, "adapter": 297_600}
    for method in METHODS:
        metrics = json.loads((ROOT / f"metrics/{method}.json").read_text())
        assert (metrics["trainable_body_parameters"], metrics["trainable_head_parameters"]) == (expected[method], 770)
