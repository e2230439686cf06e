"""A parameter that was changed and does nothing is told, with what to add."""

import subprocess

import pytest

from stages.project import running
from stages.project.inactive import NEEDS, committed_values, is_active, needs_of, warnings
from stages.project.parameters import known_keys, leaf_values
from stages.project.running import announce
from stages.project.schema import Params
from tests.training.tiny import prepare, write_params

KEYS = known_keys(Params)


@pytest.fixture
def committed(params) -> dict:
    return leaf_values(params.model_dump())


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            {"data": {"csv": {"path": "mine.csv"}}},
            ["data.csv.path=mine.csv has no effect, because data.source is package; to use it, add -S data.source=csv"],
        ),
        (
            {"model": {"hub": {"name": "a/b"}}},
            ["model.hub.name=a/b has no effect, because model.source is package; to use it, add -S model.source=hub"],
        ),
        (
            {"data": {"csv": {"text_column": "body", "split_column": "part"}}, "awp": {"enabled": False, "epsilon": 0.1}},
            [
                "data.csv.text_column=body and data.csv.split_column=part have no effect, because data.source is package; "
                "to use them, add -S data.source=csv",
                "awp.epsilon=0.1 has no effect, because awp.enabled is false; to use it, add -S awp.enabled=true",
            ],
        ),
        ({"data": {"source": "csv", "csv": {"path": "mine.csv"}}}, []),
        (
            {"awp": {"step": 0.001}},
            ["awp.step=0.001 has no effect, because awp.box is null; to use it, add -S awp.box=0.01"],
        ),
        (
            {"awp": {"box": 0.02, "epsilon": 0.1}},
            ["awp.epsilon=0.1 has no effect, because awp.box is 0.02; to use it, add -S awp.box=null"],
        ),
        (
            {"awp": {"enabled": False, "target": "all", "step": 0.001}},
            [
                "awp.target=all and awp.step=0.001 have no effect, because awp.enabled is false; "
                "to use them, add -S awp.enabled=true"
            ],
        ),
        ({"awp": {"box": 0.02, "step": 0.001, "target": "all"}}, []),
        ({"data": {"source": "csv"}, "awp": {"epsilon": 0.1}, "peft": {"rank": 4}}, []),
        ({}, []),
        (
            {"peft": {"scaling": 2.0}},
            ["peft.scaling=2.0 has no effect, because peft.adapter is pfeiffer; to use it, add -S peft.adapter=parallel"],
        ),
        ({"peft": {"scaling": 2.0, "adapter": "parallel"}}, []),
    ],
)
def test_what_is_changed_without_its_switch_is_told_with_it(params, committed, changes, sentences):
    content = params.model_dump()

    def change(block: dict, values: dict) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                change(block[key], value)
            else:
                block[key] = value

    change(content, changes)
    assert warnings(Params.model_validate(content), committed, KEYS) == sentences


def test_every_condition_names_parameters_that_exist():
    assert all(any(key == name or key.startswith(f"{name}.") for key in KEYS) for name in NEEDS)
    assert {switch for needs in NEEDS.values() for switch, _ in needs} <= set(KEYS)
    sources = [
        key for key in KEYS if key.split(".")[:2] in (["data", "csv"], ["data", "hub"], ["model", "hub"], ["model", "local"])
    ]
    assert len(sources) > 10 and all(needs_of(key) for key in sources)
    assert is_active("data.csv.path", {"data.source": "csv"}) and not is_active("data.csv.path", {"data.source": "hub"})


def test_without_a_commit_nothing_counts_as_changed(project, with_params):
    assert committed_values() == {}
    assert warnings(with_params(awp={"enabled": False, "epsilon": 0.5}), {}, KEYS) == []


def test_fetch_tells_of_all_parameters_and_another_stage_of_its_own(project, with_params, capsys):
    prepare(project)
    write_params(project, with_params())
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "--quiet"), ("add", "params.yaml"), (*identity, "commit", "--quiet", "-m", "parameters")):
        subprocess.run(["git", *command], check=True)
    write_params(project, with_params(mixout={"enabled": False, "p": 0.5}))
    told = {}
    for stage in ("fetch", "prepare", "train_lora"):
        announce(stage)
        told[stage] = capsys.readouterr().err
    expected = "warning: mixout.p=0.5 has no effect, because mixout.enabled is false; to use it, add -S mixout.enabled=true\n"
    assert told == {"fetch": expected, "prepare": "", "train_lora": expected}


def test_stages_before_lora_tell_that_its_package_is_not_there(project, with_params, capsys, monkeypatch):
    prepare(project)
    write_params(project, with_params(), frozen_dtype="nf4")
    told = {}
    for version in ("none", "0.50.2"):
        monkeypatch.setattr(running, "installed_version", lambda name, version=version: version)
        for stage in ("fetch", "prepare", "train_full", "train_lora", "report"):
            announce(stage)
            told[version, stage] = "train_lora will refuse train.frozen_dtype nf4" in capsys.readouterr().err
    assert {key for key, warned in told.items() if warned} == {("none", "fetch"), ("none", "prepare"), ("none", "train_full")}
    write_params(project, with_params(), frozen_dtype="bf16")
    monkeypatch.setattr(running, "installed_version", lambda name: "none")
    announce("fetch")
    assert capsys.readouterr().err == ""
