"""A small study on the examples from end to end: several cells at once, killed in between, finished in a clone."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.project.files import read_json, write_json
from stages.project.running import only_stage
from study import state
from study.definition import METHODS
from tests.clone import Project, copy_project
from tests.stopping import descendants, kill, letter_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("study")]

SMALL = {
    "conditions": {"methods": ["lora", "head"], "conditions": ["none", "both"], "seeds": [1, 2], "rows": 60, "epochs": 3},
    "splits": {"methods": ["full"], "conditions": ["none"], "split_seeds": [1], "rows": 60},
}
CONDITIONS = ["lora-none-1", "head-none-1", "lora-both-2", "head-both-1"]  # each method and condition once
NAMES = [*(f"conditions-{name}" for name in CONDITIONS), "splits-full-none-1", "trainer-1"]
RUN = (sys.executable, "-m", "study.run", *NAMES, "--jobs", "3")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The project with its examples prepared and six small cells to run, at rates that were chosen already."""
    project = copy_project(tmp_path_factory.mktemp("cells"))
    (project.folder / "study/dvc.lock").unlink(missing_ok=True)  # of the true study
    path = project.folder / "study/params.yaml"
    content = yaml.safe_load(path.read_text())
    for series, values in SMALL.items():
        content[series] |= values
    content["settings"]["train"] |= {"batch_size": 8, "micro_batch_size": 4}
    content["settings"]["peft"] |= {"rank": 2, "bottleneck": 4}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    rates = {method: dict.fromkeys(("none", "mixout", "awp", "both"), 1e-3) for method in METHODS}
    write_json(project.folder / "metrics/study/rates.json", rates)
    project.run("dvc", "repro", "prepare")
    project.commit()
    return project


def finished(project: Project) -> dict[str, Path]:
    return {path.stem: path for path in (project.folder / "metrics/study/cells").glob("*.json")}


def recorded(project: Project) -> set[str]:
    path = project.folder / "study/dvc.lock"
    return set(yaml.safe_load(path.read_text())["stages"]) if path.exists() else set()


@pytest.fixture(scope="module")
def done(project) -> Project:
    """The study after it was killed when some cells were finished, and started again."""
    process = start(project)
    wait_for(process, "[2/")
    kill(process.pid)
    process.wait()
    before = {name: path.stat().st_mtime_ns for name, path in finished(project).items()}
    assert 2 <= len(before) < len(NAMES)
    for note in state.NOTES:
        (project.folder / note).write_text("")  # as a kill can leave it
    output = project.run(*RUN)
    assert output.count("left half written by a process that was killed; deleted") == len(state.NOTES)
    assert "all" not in output.splitlines()[0]
    after = {name: path.stat().st_mtime_ns for name, path in finished(project).items()}
    first = [name for name in before if f"{name}: " not in output]
    assert len(first) >= 2 and all(after[name] == before[name] for name in first)  # they were not run again
    project.commit()
    return project


def clone_with_data(project: Project, folder: Path) -> Project:
    """A clone that has its texts and encoder from the cache of `project`: they need not be prepared again."""
    subprocess.run(["git", "clone", "--quiet", project.folder, folder], check=True)
    clone = Project(folder)
    clone.run("dvc", "config", "--local", "cache.dir", str(project.folder / ".dvc/cache"))
    clone.run("dvc", "checkout", "--quiet", "fetch", "prepare")
    return clone


def start(project: Project, *command: str) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command or RUN, cwd=project.folder, env=project.environment, start_new_session=True, **pipes)


def wait_for(process: subprocess.Popen, beginning: str) -> None:
    """Read what the process prints until a line begins like that."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(f"no line begins with {beginning}: {process.communicate()}")


def test_all_cells_end_with_a_file_an_entry_in_the_lock_and_a_row_of_the_table(done):
    assert set(finished(done)) == set(NAMES)
    assert recorded(done) == {name.replace("-", "@", 1) for name in NAMES}
    table = (done.folder / "metrics/study/cells.csv").read_text().splitlines()
    assert len(table) == 1 + len(NAMES) and "test_predictions" not in table[0]
    assert len((done.folder / "metrics/study/seconds.csv").read_text().splitlines()) == 1 + len(NAMES)
    assert not list((done.folder / "models").glob("[!b]*"))


def test_a_file_says_what_was_trained_and_how_it_did(done):
    row = done.json("metrics/study/cells/conditions-lora-both-2.json")
    assert (row["series"], row["method"], row["condition"], row["seed"], row["rows"], row["epochs"]) == (
        "conditions", "lora", "both", 2, 60, 3,
    )  # fmt: skip
    assert row["awp_epsilon"] == 0.01 and row["peft_rank"] == 2 and -1 <= row["gradient_cosine"] <= 1
    assert 0 <= row["test_f1"] <= 1 and row["test_loss"] > 0 and set(row["test_predictions"]) <= {"0", "1"}
    head, plain = (done.json(f"metrics/study/cells/{name}.json") for name in ("conditions-head-none-1", "trainer-1"))
    assert head["trainable"] < row["trainable"] < plain["trainable"] and head["awp_epsilon"] is None
    assert head["test_sha256"] == row["test_sha256"] == plain["test_sha256"]
    assert len(head["test_predictions"]) == len(row["test_predictions"])
    split = done.json("metrics/study/cells/splits-full-none-1.json")
    assert split["split_seed"] == 1 and split["test_sha256"] != row["test_sha256"]


def test_alone_a_cell_has_the_same_bytes_as_beside_others(done):
    for name in ("conditions-lora-both-2", "conditions-head-both-1"):
        path = done.folder / f"metrics/study/cells/{name}.json"
        before = path.read_bytes()
        shutil.rmtree(done.folder / ".cache/study/features", ignore_errors=True)
        environment = done.environment | {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "PYTHONHASHSEED": "5"}
        subprocess.run(
            [sys.executable, "-m", "study.cell", name], cwd=done.folder, env=environment, check=True, capture_output=True
        )
        assert path.read_bytes() == before
    done.run("git", "checkout", "--", "metrics/study/seconds.csv")


def test_a_clone_of_a_finished_study_runs_nothing_without_data_and_without_a_cache(done, tmp_path):
    subprocess.run(["git", "clone", "--quiet", done.folder, tmp_path / "clone"], check=True)
    clone = Project(tmp_path / "clone")
    assert f"all {len(NAMES)} cells are finished: nothing to run" in clone.run(*RUN)
    output = clone.run("dvc", "--cd", "study", "repro", *(name.replace("-", "@", 1) for name in NAMES))
    assert output.count("didn't change, skipping") == len(NAMES) and "Running stage" not in output
    assert clone.run("git", "status", "--porcelain") == ""
    assert not (clone.folder / "data/processed").exists()


def test_parameters_of_the_comparison_make_no_cell_stale_those_of_the_study_the_cells_that_read_them(done, tmp_path):
    subprocess.run(["git", "clone", "--quiet", done.folder, tmp_path / "clone"], check=True)
    clone = Project(tmp_path / "clone")
    root, ours = clone.folder / "params.yaml", clone.folder / "study/params.yaml"
    root.write_text(root.read_text().replace("epochs: 3", "epochs: 4"))

    def missing() -> set[str]:
        lines = clone.run(sys.executable, "-m", "study.cells", "--names").splitlines()
        return {line.split()[1] for line in lines if line.startswith("missing")} & set(NAMES)

    assert missing() == set()
    content = yaml.safe_load(ours.read_text())
    content["splits"]["epochs"] = 4
    content["settings"]["peft"]["rank"] = 3
    ours.write_text(yaml.safe_dump(content, sort_keys=False))
    assert missing() == {"splits-full-none-1", *(name for name in NAMES if "-lora-" in name)}


def test_the_comparison_does_not_see_the_cells(done):
    for command in (
        "dag",
        "stage list --all",
        "status",
        "metrics show",
        "plots show --json",
        "repro --dry --force",
        "params diff",
    ):
        output = done.run("dvc", *command.split())
        assert "conditions" not in output and "study" not in output, command
    assert "metrics/study" not in done.run("dvc", "status", "--json")


def test_a_cell_that_fails_is_told_with_its_message_and_the_others_go_on(done, tmp_path):
    clone = clone_with_data(done, tmp_path / "clone")
    ours = clone.folder / "study/params.yaml"
    content = yaml.safe_load(ours.read_text())
    content["splits"]["rows"] = 100_000
    ours.write_text(yaml.safe_dump(content, sort_keys=False))
    process = start(clone, sys.executable, "-m", "study.run", "splits-full-none-1")
    output, errors = process.communicate()
    assert process.returncode == 1 and "Traceback" not in output + errors
    assert "splits asks for 100000 training rows" in output and "1 cell(s) failed: splits-full-none-1" in errors


def test_the_study_does_not_start_beside_a_stage_nor_a_second_time(done, tmp_path, monkeypatch):
    clone = clone_with_data(done, tmp_path / "clone")
    (clone.folder / "metrics/study/cells/trainer-1.json").unlink()
    monkeypatch.chdir(clone.folder)
    with only_stage("train_lora"):
        run = subprocess.run(RUN, cwd=clone.folder, env=clone.environment, capture_output=True, text=True)
    assert run.returncode == 1 and "study was not started: train_lora" in run.stderr


def test_ctrl_c_stops_the_cells_and_says_how_to_go_on(done, tmp_path):
    clone = clone_with_data(done, tmp_path / "clone")
    for path in (clone.folder / "metrics/study/cells").glob("conditions-head-*"):
        path.unlink()
    process = start(clone, *RUN, "--jobs", "1")  # the other cell begins only now
    wait_for(process, "[1/")
    while not (running := descendants(process.pid)):
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    rest, errors = process.communicate()
    assert process.returncode == 130 and "Traceback" not in errors
    assert "stopped; finished cells are kept" in rest and "`make study` goes on from here" in rest
    assert [Path(f"/proc/{pid}/cmdline").read_text() for pid in running if letter_of(pid) != "Z"] == []
    assert read_json(clone.folder / "metrics/study/cells/splits-full-none-1.json")["cell"] == "splits-full-none-1"
