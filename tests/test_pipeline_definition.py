"""dvc.yaml against the code: a missing dependency is a stale result, a needless one a needless training."""

import re
from pathlib import Path

import pytest
import yaml

from stages.project.parameters import known_keys, load_params
from stages.project.provenance import parameter_keys
from stages.project.schema import METHODS, Params
from tests.imports import PACKAGES, ROOT, direct_imports, has_code, import_closure

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
LORA = ("rank", "alpha", "dropout", "target", "use_rslora", "use_dora", "init")
TRAININGS = [f"train_{method}" for method in METHODS]


def names(entries) -> set[str]:
    """Paths of outs, metrics or plots, which stand alone or as the key of their options."""
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries or []}


def outs(stage: str) -> set[str]:
    return set().union(*(names(STAGES[stage].get(kind)) for kind in ("outs", "metrics", "plots")))


def declared_code(stage: str) -> set[str]:
    """The Python files with code among the dependencies of `stage`, those in its folders included."""
    paths = [ROOT / dep for dep in STAGES[stage]["deps"] if dep.split("/")[0] in PACKAGES]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))]
    found = {file.relative_to(ROOT) for file in files if file.suffix == ".py"}
    return {file.as_posix() for file in found if has_code(file)}


def imported_code(stage: str) -> set[str]:
    """The Python files that running `stage` reads."""
    door = f"stages.{stage}.__main__" if (ROOT / "stages" / stage).is_dir() else f"stages.{stage}"
    return import_closure(door)


def test_the_stages_are_these_in_this_order():
    assert list(STAGES) == ["fetch", "prepare", *TRAININGS, "evaluate", "benchmark", "plan", "plan_published", "report"]
    assert all(STAGES[stage]["desc"] for stage in STAGES)
    for stage in STAGES:
        assert STAGES[stage]["cmd"] == f"sh stages/project/activated.sh python -m stages.{stage}"


def test_the_pipeline_is_short_enough_to_read():
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 250


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_depends_on_all_the_code_that_it_imports(stage):
    assert imported_code(stage) - declared_code(stage) == set()


@pytest.mark.parametrize("stage", TRAININGS)
def test_nothing_retrains_a_method_that_cannot_change_it(stage):
    assert declared_code(stage) == imported_code(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_another(stage):
    others = tuple(f"stages/{other}{end}" for other in STAGES if other != stage for end in (".py", "/"))
    assert [file for file in imported_code(stage) if file.startswith(others)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_dependency_on_code_is_there(stage):
    """DVC refuses to run a stage whose dependency is missing; here it shows before."""
    assert [dep for dep in STAGES[stage]["deps"] if dep.split("/")[0] in PACKAGES and not (ROOT / dep).exists()] == []


def test_data_dependencies_are_outs_of_other_stages_or_committed():
    made = {out for stage in STAGES for out in outs(stage)}
    for stage, definition in STAGES.items():
        for dep in definition["deps"]:
            inside = any(dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/") for out in made)
            assert inside or dep.startswith("${") or (ROOT / dep).exists(), (stage, dep)


def parameters(stage: str) -> set[str]:
    """The leaf parameters that `stage` names, alone or by their section."""
    keys, leaves = parameter_keys(STAGES[stage]["params"]), known_keys(Params)
    found = {leaf for leaf in leaves for key in keys if leaf == key or leaf.startswith(f"{key}.")}
    assert all(any(leaf == key or leaf.startswith(f"{key}.") for leaf in leaves) for key in keys)
    return found


def test_every_parameter_is_some_stages():
    used = set().union(*(parameters(stage) for stage in STAGES if stage != "report"))
    assert used == set(known_keys(Params)) - {"report.method"}
    assert parameters("report") == set(known_keys(Params))  # it quotes many, and compares all with those of earlier tables
    assert load_params(ROOT / "params.yaml")


def test_the_training_stages_differ_in_their_own_parameters_only():
    shared = re.compile(r"seed|data\.max_length|train\.(?!learning|frozen)|awp|mixout")
    assert {stage: {key for key in parameters(stage) if not shared.match(key)} for stage in TRAININGS} == {
        "train_full": {"train.learning_rate.full"},
        "train_lora": {"train.learning_rate.lora", "train.frozen_dtype", *(f"peft.{key}" for key in LORA)},
        "train_adapter": {"train.learning_rate.adapter", "train.frozen_dtype", "peft.adapter", "peft.bottleneck", "peft.scaling"},
    }


def test_nothing_measured_with_a_clock_is_hashed():
    hashed = {out for stage in STAGES for out in outs(stage)}
    assert not hashed & {"plots/latency.csv", "plots/latency.png", "REPORT.md"}
    assert [out for out in hashed if out.startswith(("metrics/timing", "metrics/provenance"))] == []
    assert "metrics" not in PIPELINE  # only what `evaluate` and `report` write is shown by a plain `dvc metrics show`
    assert "metrics/memory.json" in STAGES["report"]["deps"]  # what orders the two instead


def test_no_room_imports_a_room_above_it():
    """The floors of the house: rooms on one floor do not import each other, and none imports upwards."""
    floors = [
        {"project"},
        {"texts", "presentation", "classifier"},
        {"methods"},
        {"memory"},
        {"training", "planning"},
        {"fetch", "prepare", "evaluate", "benchmark", "plan", "plan_published", "report", "predict", "export", "forecast"},
    ]
    level = {room: number for number, rooms in enumerate(floors) for room in rooms}
    wrong = []
    for path in sorted((ROOT / "stages").rglob("*.py")):
        room = path.relative_to(ROOT / "stages").parts[0]
        if room not in level:  # the three entry points
            continue
        imported = [file.parts for file in direct_imports(path.relative_to(ROOT))]
        rooms = {parts[1] for parts in imported if parts[0] == "stages" and len(parts) > 2}
        wrong += [(path.relative_to(ROOT).as_posix(), other) for other in rooms - {room} if level[other] >= level[room]]
    assert wrong == []
    assert {path.name for path in (ROOT / "stages").iterdir() if path.is_dir() and path.name != "__pycache__"} == set(level)


def test_a_stage_is_run_as_its_folder_or_file_says():
    for stage in STAGES:
        assert (ROOT / "stages" / stage / "__main__.py").is_file() or (ROOT / f"stages/{stage}.py").is_file()
        door = Path("stages", stage, "__main__.py") if (ROOT / "stages" / stage).is_dir() else Path(f"stages/{stage}.py")
        assert (ROOT / door).read_text().startswith(f'"""python -m stages.{stage}')
