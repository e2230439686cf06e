"""What DVC brings back from its run cache fits the files beside it: a stage that writes more than its outs is never cached."""

import re

import pytest
import yaml

from stages.report.stage import main as write_reports
from tests.clone import Project, ran
from tests.test_pipeline_definition import STAGES, TRAININGS, outs

CACHED = {"fetch", *TRAININGS}
# files that stages write and that are no outs, by the stage; a clock, the machine or git has a part in each
BESIDE = {
    "benchmark": ["metrics/timing/", "plots/latency.csv", "plots/latency.png", "metrics/provenance/benchmark.json"],
    "evaluate": ["metrics/provenance/evaluate.json", *(f"metrics/provenance/{training}.json" for training in TRAININGS)],
    "report": ["REPORT.md", "INFORME.md", "reports/details.md", "reports/detalles.md", "plots/cost.csv", "plots/cost.png"],
    "every stage": ["metrics/durations.json", "dvc.lock"],
}
NO_RECORDS = [path for stage, paths in BESIDE.items() if stage != "evaluate" for path in paths]


def entries(stage: str) -> list:
    """Outs with their options."""
    return [entry for kind in ("outs", "metrics", "plots") for entry in STAGES[stage].get(kind, [])]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_writes_more_than_its_outs_is_never_taken_from_the_run_cache(stage):
    """DVC does not cache the runs of a stage that has a persistent out, or an uncached one that is neither metric nor plot."""
    options = [option for entry in entries(stage) if isinstance(entry, dict) for option in entry.values()]
    plain = [option for out in STAGES[stage].get("outs", []) if isinstance(out, dict) for option in out.values()]
    switched_off = any(option.get("persist") for option in options) or any(not option.get("cache", True) for option in plain)
    assert stage not in BESIDE or switched_off
    assert stage not in CACHED or not switched_off


def test_the_report_runs_whatever_parameter_changed():
    """The rest of its inputs are declared; parameters it quotes without reading a file that depends on them."""
    assert {"params.yaml": None} in STAGES["report"]["params"]
    for training in TRAININGS:  # what puts the records right
        assert any(dep == out or dep.startswith(f"{out}/") for dep in STAGES["evaluate"]["deps"] for out in outs(training))


def content(project: Project) -> dict[str, bytes]:
    """The files of the results, by path."""
    listed = project.run("git", "ls-files", "metrics", "plots", "reports", "REPORT.md", "INFORME.md", "dvc.lock")
    return {name: (project.folder / name).read_bytes() for name in listed.splitlines()}


def assert_the_report_fits(project: Project) -> None:
    """Rendering it again from the files beside it changes nothing."""
    before = content(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        write_reports()
    assert {name for name, data in content(project).items() if data != before[name]} <= {"metrics/durations.json"}


@pytest.fixture
def restored(pipeline):
    """The pipeline, with what is committed before and after."""
    restore(pipeline)
    yield pipeline
    restore(pipeline)


def restore(project: Project) -> None:
    project.run("git", "reset", "--quiet")
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout", "--quiet")


def test_only_these_runs_are_in_the_cache(pipeline):
    runs = (pipeline.folder / ".dvc/cache/runs").rglob("*")
    commands = {yaml.safe_load(run.read_text())["cmd"] for run in runs if run.is_file()}
    assert {command.rpartition(".")[2] for command in commands} == CACHED


def test_every_file_of_the_results_is_an_out_or_known_to_be_none(pipeline):
    declared = {out for stage in STAGES for out in outs(stage)}
    known = (*NO_RECORDS, *BESIDE["evaluate"])
    read_only = {dep for stage in STAGES for dep in STAGES[stage]["deps"]} - declared  # tables of experiments
    stray = [name for name in content(pipeline) if not name.startswith(known) and not inside(name, declared | read_only)]
    assert stray == []


def inside(name: str, paths: set[str]) -> bool:
    return any(name == path or name.startswith(f"{path}/") for path in paths)


def test_there_and_back_again(restored):
    """Intervals of 90 %, then of 95 % as at first: the report is never that of the other experiment, nor is a record."""
    pipeline, first = restored, content(restored)
    for name, confidence in (("ninety", 0.9), ("back", 0.95)):
        output = pipeline.run("dvc", "exp", "run", "--name", name, "-S", f"evaluate.confidence={confidence}")
        assert ran(output) == ["evaluate", "report"]
        assert re.search(rf"{100 * confidence:.0f} %", (pipeline.folder / "REPORT.md").read_text())
        assert_the_report_fits(pipeline)
    # the second run of evaluate notes that params.yaml was not committed, which the details quote
    noted = {"metrics/durations.json", "metrics/provenance/evaluate.json", "reports/details.md", "reports/detalles.md"}
    again = content(pipeline)
    assert {name for name in first if again[name] != first[name]} <= noted

    restore(pipeline)
    pipeline.run("dvc", "exp", "apply", "ninety")
    assert content(pipeline)["metrics/full.json"] != first["metrics/full.json"]
    assert_the_report_fits(pipeline)
    restore(pipeline)
    assert_the_report_fits(pipeline)
    restore(pipeline)
    pipeline.run("dvc", "exp", "remove", "ninety", "back")
