"""What a stage says of its time: measured with the same settings, scaled, or not known, never guessed."""

import json
import subprocess

import pytest
import yaml

from stages.forecast.__main__ import main as forecast
from stages.project.durations import expected, in_words, record, settings_of, total
from stages.project.machine import machine_in_words
from stages.project.parameters import load_params
from stages.project.paths import DURATIONS
from stages.project.pipeline import stage_definitions, stages_after
from stages.project.running import Clock, run_stage
from tests.imports import PACKAGES, ROOT
from tests.training.tiny import prepare, write_params

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
LORA = STAGES["train_lora"]


@pytest.fixture
def phrase(project, params, with_params):
    """A function that says what is expected of train_lora with other parameters, after it took 840 s with the committed ones."""
    record("train_lora", LORA, params, 840)
    return lambda **changed: expected("train_lora", LORA, with_params(**changed)).phrase


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "about 14 min"),
        ({"peft": {"rank": 4}, "seed": 14}, "about 14 min"),  # hardly changes the time
        ({"train": {"epochs": 3}}, "about 7 min, scaled from 14 min for train.epochs=6"),
        ({"train": {"batch_size": 64}}, "time unknown: 14 min were measured with train.batch_size=32"),
        (
            {"data": {"source": "csv"}, "train": {"epochs": 3}},
            "time unknown: 14 min were measured with data.source=package, train.epochs=6",
        ),
        ({"awp": {"enabled": False}}, "time unknown: 14 min were measured with awp.enabled=True, awp.target=trainable"),
        ({"report": {"method": "lora"}, "model": {"local": {"path": "x"}}}, "about 14 min"),  # not the stage's, or not in use
    ],
)
def test_a_time_holds_for_the_settings_that_it_was_measured_with(phrase, changed, said):
    assert phrase(**changed) == said


def test_another_machine_is_named(phrase):
    content = json.loads(DURATIONS.read_text())
    assert content["train_lora"]["machine"] == machine_in_words()
    content["train_lora"]["machine"] = "Abacus, 10 cores"
    DURATIONS.write_text(json.dumps(content))
    assert phrase() == "about 14 min, measured on Abacus, 10 cores"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"train_lora": 3}', '{"train_lora": {"seconds": "long"}}', '{"other": {}}'])
def test_no_file_or_any_other_content_is_no_measurement(project, params, content):
    assert expected("train_lora", LORA, params) == (None, "time unknown: never measured")
    DURATIONS.parent.mkdir()
    DURATIONS.write_text(content)
    assert expected("train_lora", LORA, params) == (None, "time unknown: never measured")


def test_what_is_committed_counts_if_an_experiment_measured_something_else_meanwhile(phrase, with_params):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "--quiet"), ("add", str(DURATIONS)), (*identity, "commit", "--quiet", "-m", "durations")):
        subprocess.run(["git", *command], check=True)
    record("train_lora", LORA, with_params(data={"source": "csv"}), 3)
    assert phrase() == "about 14 min" and phrase(data={"source": "csv"}) == "about 3 s"


def test_the_sum_says_what_it_does_not_contain(project, params):
    assert total(["fetch", "prepare"], STAGES, params) == (None, "time unknown")
    record("fetch", STAGES["fetch"], params, 40)
    assert total(["fetch", "prepare"], STAGES, params) == (None, "more than 40 s, prepare not counted")
    record("prepare", STAGES["prepare"], params, 80)
    assert total(["fetch", "prepare"], STAGES, params) == (120, "about 2 min")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3570, "1 h 0 min"), (3900, "1 h 5 min")]
)
def test_seconds_in_words(seconds, said):
    assert in_words(seconds) == said


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_depends_on_which_data_and_encoder_there_are(params, with_params, stage):
    other = with_params(data={"source": "csv"})
    assert settings_of(STAGES[stage], params) != settings_of(STAGES[stage], other)
    assert "data.csv.path" in settings_of(STAGES[stage], other) and "data.csv.path" not in settings_of(STAGES[stage], params)


def test_the_stages_after_a_stage_are_those_that_read_what_it_writes():
    assert stages_after({"report"}, STAGES) == []
    assert stages_after({"train_lora"}, STAGES) == ["evaluate", "benchmark", "report"]
    independent = {stage for stage in STAGES if all(dep.split("/")[0] in PACKAGES for dep in STAGES[stage]["deps"])}
    assert independent == {"plan_published"}
    assert set(stages_after({"fetch"}, STAGES)) == set(STAGES) - {"fetch"} - independent


def test_a_stage_says_what_it_does_and_notes_how_long_it_took(project, params, capsys, monkeypatch):
    prepare(project)
    write_params(project, params)
    run_stage("evaluate", lambda: print("evaluating"))
    description = stage_definitions()["evaluate"]["desc"]
    first, second = capsys.readouterr().out.splitlines()
    assert (first, second) == (f"evaluate: {description} (time unknown: never measured)", "evaluating")
    assert list(json.loads(DURATIONS.read_text())) == ["evaluate"]
    record("report", STAGES["report"], params, 5)
    run_stage("evaluate", lambda: None)
    assert "(about 1 s; then report, about 5 s)" in capsys.readouterr().out

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_stage("plan", fail)
    monkeypatch.setattr(Clock, "partial", True)  # as a training that resumes says
    run_stage("prepare", lambda: None)
    assert list(json.loads(DURATIONS.read_text())) == ["evaluate", "report"]


def test_the_forecast_lists_what_dvc_will_run(project, params, capsys, monkeypatch):
    prepare(project)
    write_params(project, params)
    for name, seconds in (("train_lora", 600), ("evaluate", 30), ("benchmark", 60), ("report", 5)):
        record(name, STAGES[name], load_params(), seconds)
    status = subprocess.CompletedProcess([], 0, '{"train_lora": []}')
    monkeypatch.setattr("stages.forecast.__main__.subprocess.run", lambda *_, **__: status)
    forecast()
    assert capsys.readouterr().out.splitlines() == [
        "train_lora     about 10 min",
        "evaluate       about 30 s",
        "benchmark      about 60 s",
        "report         about 5 s",
        "all            about 12 min; less where DVC has the results in its cache",
    ]
    status.stdout = "{}"
    forecast()
    assert capsys.readouterr().out == ""
