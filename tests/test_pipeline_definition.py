"""dvc.yaml against the code: a missing dependency is a stale result, a needless one a needless training."""

import re

import pytest
import yaml

from stages.config import load_params
from tests.imports import ROOT, import_closure

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
# read at run time without being imported
DATA_FILES = {
    "fetch": {
        "stages/sources/data.lock.txt",
        "stages/sources/model.lock.txt",
        "stages/sources/static_backend/setuptools/__init__.py",
        "stages/sources/static_backend/setuptools/build_meta.py",
    },
    "report": {"stages/reporting/report.md.j2"},
}


def names(entries) -> set[str]:
    """Paths of outs or metrics, which stand alone or as the key of their options."""
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries or []}


def outs(stage: str) -> set[str]:
    return names(STAGES[stage].get("outs")) | names(STAGES[stage].get("metrics"))


def test_the_stages_are_these_in_this_order():
    methods = ["train_full", "train_lora", "train_adapter"]
    assert list(STAGES) == ["fetch", "prepare", *methods, "evaluate", "benchmark", "plan", "report"]
    assert all(STAGES[stage]["desc"] for stage in STAGES)
    for stage in STAGES:
        assert STAGES[stage]["cmd"] == f"python -m stages.{f'launch {stage}' if stage in methods else stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_depends_on_exactly_the_modules_that_it_imports(stage):
    declared = {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/")}
    assert declared == import_closure(f"stages.{stage}") | DATA_FILES.get(stage, set())


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_another(stage):
    others = {f"stages/{other}.py" for other in STAGES if other != stage}
    assert not import_closure(f"stages.{stage}") & others


def test_a_methods_training_does_not_depend_on_another_methods_code():
    assert "stages/methods/adapter.py" not in STAGES["train_lora"]["deps"]
    assert "stages/methods/bottleneck/layer.py" not in STAGES["train_lora"]["deps"] + STAGES["train_full"]["deps"]
    assert "stages/methods/lora.py" not in STAGES["train_adapter"]["deps"]


def test_data_dependencies_are_outs_of_other_stages_or_committed():
    made = {out for stage in STAGES for out in outs(stage)}
    for stage, definition in STAGES.items():
        for dep in definition["deps"]:
            inside = any(dep == out or dep.startswith(f"{out}/") for out in made)
            assert inside or dep.startswith("${") or (ROOT / dep).is_file(), (stage, dep)


def leaves(section, prefix="") -> set[str]:
    if not isinstance(section, dict):
        return {prefix[:-1]}
    return set().union(*(leaves(value, f"{prefix}{key}.") for key, value in section.items()))


def test_parameters_are_leaves_and_every_leaf_is_some_stages():
    known = leaves(load_params(ROOT / "params.yaml").model_dump())
    used = {param for stage in STAGES if stage != "report" for param in STAGES[stage]["params"]}
    assert used == known - {"report.method"}
    assert set(STAGES["report"]["params"]) == known  # it quotes many, and compares all of training with those of earlier tables


def test_the_training_stages_differ_in_their_own_parameters_only():
    own = {
        stage: {param for param in STAGES[stage]["params"] if not re.match(r"seed|data|model|train\.(?!learning)|awp|mixout", param)}
        for stage in ("train_full", "train_lora", "train_adapter")
    }
    assert own == {
        "train_full": {"train.learning_rate.full"},
        "train_lora": {"train.learning_rate.lora", "peft.rank", "peft.alpha", "peft.dropout"},
        "train_adapter": {"train.learning_rate.adapter", "peft.bottleneck"},
    }


def test_nothing_measured_with_a_clock_is_hashed():
    hashed = {out for stage in STAGES for out in outs(stage)}
    assert not hashed & {"metrics/benchmark.json", "plots/latency.csv", "plots/latency.png", "REPORT.md"}
    assert "metrics/benchmark.json" in PIPELINE["metrics"]
    assert "metrics/memory.json" in STAGES["report"]["deps"]  # what orders the two instead
