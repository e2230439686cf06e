"""The committed results agree with each other; whether they belong to the committed code is what `dvc status` says."""

import re

import pytest

from stages.classifier.splits import SPLITS
from stages.project.files import read_json
from stages.project.parameters import load_params
from stages.project.schema import METHODS
from stages.report import tables, training, verdicts
from stages.report.facts import PEFT, load_facts
from stages.report.language import Language
from stages.report.stage import DOCUMENTS, render
from tests.imports import ROOT


@pytest.fixture
def facts(monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_facts(load_params())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_reports_say_what_the_metric_files_say(facts, document):
    assert (ROOT / DOCUMENTS[document]).read_text(encoding="utf-8") == render(facts, *document)


@pytest.mark.parametrize("name", ["REPORT.md", "INFORME.md"])
def test_the_committed_reports_are_short(name):
    """With everything in them: the study, baselines, transfer sets and a GPU."""
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 170


def test_the_readme_says_what_the_metric_files_say(facts):
    assert tables.headline(facts, Language("en")) in (ROOT / "README.md").read_text()


def test_the_readme_has_the_verdicts_of_the_report(facts):
    bullets = verdicts.verdicts(facts, Language("en")).splitlines()[1:]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert len(bullets) == 2 and all(bullet in readme for bullet in bullets)


def test_the_learning_rates_are_the_best_of_the_table(facts):
    for method, rows in facts.learning_rates.groupby("method"):
        best = rows.loc[rows["validation_f1"].idxmax(), "learning_rate"]
        assert getattr(facts.params.train.learning_rate, method) == best


def test_the_tables_of_earlier_experiments_belong_to_these_parameters(facts):
    assert training.tuned_here(facts) and training.ablation_belongs(facts)


def test_docs_methods_says_of_awp_what_the_study_found(facts):
    found = {key.removeprefix("dose_"): value for key, value in facts.study.items() if key.startswith("dose_")}
    doses = ("off", "trainable_0.01", "trainable_0.003", "trainable_0.0003", "box")
    full = {dose: found[f"full_{dose}_validation_f1"] for dose in doses}
    assert abs(found["full_trainable_0.01_cosine"]) < 0.1 and full["trainable_0.01"] < full["off"] - 0.2
    assert full["trainable_0.003"] < full["trainable_0.01"]
    assert max(abs(full[dose] - full["off"]) for dose in ("box", "trainable_0.0003")) < 0.01
    assert found["box_moved"] == pytest.approx(0.01 / 100, rel=0.2)
    for method in PEFT:
        off = [found[f"{method}_off_validation_f1{end}"] for end in ("_min", "_max")]
        assert off[0] < found[f"{method}_trainable_0.01_validation_f1"] < off[1]
        assert found[f"{method}_all_0.01_validation_f1"] < full["trainable_0.01"]
    assert facts.quality["full"]["f1"] < facts.study["none_full_f1"]


def test_rows_add_up(facts):
    dropped = sum(count for key, count in facts.data.items() if key.startswith("dropped_"))
    assert facts.data["rows_read"] == dropped + sum(facts.data[f"{split}_rows"] for split in SPLITS)


def test_what_is_shown_first_is_what_the_details_say(facts):
    for method in METHODS:
        shown, details = read_json(ROOT / f"metrics/{method}.json"), facts.quality[method]
        assert shown["f1"] == pytest.approx(details["f1"], abs=5e-5)
        assert shown["trainable"] == details["trainable_parameters"]
    assert read_json(ROOT / "metrics/headline.json") == read_json(ROOT / f"metrics/{facts.params.report.method}.json")


def test_the_reports_have_no_timing_that_was_not_measured(facts):
    """Every latency in the five lines is in the committed table."""
    text = render(facts, "report", "en").split("## 9. ")[1].split("## 10. ")[0]
    medians = {f"{median:.1f}" for median in facts.latency["median_ms"]}
    assert set(re.findall(r"([\d.]+) ms", text)) <= medians


def test_counts_on_the_embedded_model(facts):
    expected = {"full": 22_713_216, "lora": 147_456, "adapter": 297_600}
    for method in METHODS:
        details = facts.quality[method]
        assert (details["trainable_body_parameters"], details["trainable_head_parameters"]) == (expected[method], 770)
