"""More than one experiment, and more than one clone: DVC's queue, a killed experiment and a remote, as README shows them."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.clone import Project, ran
from tests.commands import code, words
from tests.imports import ROOT


def start_queue(pipeline: Project) -> None:
    """Not with `run`, which reads the output to its end: the worker holds it open until the queue is empty."""
    subprocess.run(
        ("dvc", "queue", "start"), cwd=pipeline.folder, env=pipeline.environment, stdout=subprocess.DEVNULL, check=True
    )


def finished_queue(pipeline: Project) -> str:
    """Start the queue, wait until it is empty, and return its final state."""
    start_queue(pipeline)
    return until_it_is_empty(pipeline)


def until_it_is_empty(pipeline: Project) -> str:
    """Wait until nothing is queued or running and the worker has ended: an experiment queued before that would not start."""
    while True:
        status = pipeline.run("dvc", "queue", "status")
        idle = "Worker status: 0 active, 0 idle" in status
        if idle and "Queued" not in status and "Running" not in status:
            return status
        time.sleep(1)


def trainings(pipeline: Project) -> list[psutil.Process]:
    """The trainings that run in a folder below the pipeline's."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "stages.train_full" in process.cmdline()[-1:] and Path(process.cwd()).is_relative_to(pipeline.folder):
                found.append(process)
    return found


def test_a_sweep_in_the_queue_runs_each_experiment_in_a_folder_of_its_own(pipeline):
    """The headline is the cheapest thing to sweep; nothing is trained for it."""
    known = set(pipeline.run("dvc", "exp", "list", "--name-only").split())
    pipeline.run("dvc", "exp", "run", "--queue", "-S", "report.method=lora,adapter")
    status = finished_queue(pipeline)
    assert status.count("Success") == 2 and "Failed" not in status
    assert pipeline.run("git", "status", "--porcelain") == ""  # this checkout was not touched
    first, second = sorted(set(pipeline.run("dvc", "exp", "list", "--name-only").split()) - known)
    diff = pipeline.run("dvc", "metrics", "diff", first, second, "--targets", "metrics/headline.json")
    assert "trainable" in diff
    pipeline.run("dvc", "exp", "remove", first, second)


def test_an_experiment_that_was_killed_in_the_queue_goes_on_when_it_is_queued_again(pipeline, monkeypatch):
    monkeypatch.setitem(pipeline.environment, "SAVE_POINT_SECONDS", "0")
    queue = ("dvc", "exp", "run", "--queue", "-S", "train.epochs=60", "-S", "train.patience=60", "--name")
    known = set(pipeline.run("dvc", "exp", "list", "--name-only").split())

    def states() -> list:
        return list(pipeline.folder.glob(".cache/save_points/queue/full-*.safetensors"))

    pipeline.run(*queue, "first", "train_full")
    start_queue(pipeline)
    while not states():
        assert "Failed" not in pipeline.run("dvc", "queue", "status"), pipeline.run("dvc", "queue", "logs", "first")
    (training,) = trainings(pipeline)
    pipeline.run("dvc", "queue", "kill", "--force", "first")
    assert "Failed" in until_it_is_empty(pipeline)
    training.wait(timeout=60)  # it ends with DVC, and does not train beside the second
    assert states()

    monkeypatch.delitem(pipeline.environment, "SAVE_POINT_SECONDS")  # the rest need not be saved at each step
    pipeline.run(*queue, "second", "train_full")
    status = finished_queue(pipeline)
    assert "Success" in status
    assert "resuming from step" in pipeline.run("dvc", "queue", "logs", "second")
    assert not states()
    assert set(pipeline.run("dvc", "exp", "list", "--name-only").split()) - known == {"second"}
    pipeline.run("dvc", "exp", "remove", "second")
    pipeline.run("dvc", "queue", "remove", "--all")
    assert pipeline.run("git", "status", "--porcelain") == ""


def test_a_killed_experiment_leaves_nothing_behind_that_the_command_in_readme_does_not_remove(pipeline):
    """Killed while it trains, with a file in the way that the user has added, and that must stay."""
    (pipeline.folder / "mine.csv").write_text("text,label\n")
    pipeline.run("git", "add", "mine.csv")
    command = ("dvc", "exp", "run", "-S", "train.epochs=1000", "-S", "train.patience=1000", "train_full")
    process = subprocess.Popen(
        command, cwd=pipeline.folder, env=pipeline.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert any(line.startswith("epoch 2/1000") for line in process.stdout)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert "M  params.yaml" in pipeline.run("git", "status", "--porcelain")

    (restoring,) = (line for line in code((ROOT / "README.md").read_text()) if line.startswith("git reset"))
    for command in words(restoring):
        pipeline.run(*command)
    assert pipeline.run("git", "status", "--porcelain") == "?? mine.csv\n"
    (pipeline.folder / "mine.csv").unlink()
    assert "up to date" in pipeline.run("dvc", "status")
    assert ran(pipeline.run("dvc", "repro")) == []


def test_models_come_from_a_remote_and_nobody_trains_again(pipeline, tmp_path):
    """A second local folder stands in for the bucket."""
    store, clone = tmp_path / "store", Project(tmp_path / "clone")
    pipeline.run("dvc", "remote", "add", "--default", "store", str(store))
    pipeline.run("dvc", "push", "--quiet")
    pipeline.commit()
    pipeline.run("git", "clone", "--quiet", str(pipeline.folder), str(clone.folder))
    assert not (clone.folder / "models/full").exists()
    clone.run("dvc", "pull", "--quiet")
    for method in ("full", "lora", "adapter"):
        (weights,) = (clone.folder / f"models/{method}").glob("*.safetensors")
        assert weights.read_bytes() == (pipeline.folder / f"models/{method}" / weights.name).read_bytes()
    assert ran(clone.run("dvc", "repro")) == []
    text = clone.run("python", "-m", "stages.predict", "--method", "lora", "--format", "csv", "it works")
    assert text.splitlines()[0].startswith("text,label")
