"""A training that is killed, at any moment and more than once, ends in the bytes of one that was never touched."""

import errno
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from safetensors import safe_open

from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.parameters import load_params
from stages.project.paths import SAVE_POINTS
from stages.project.provenance import stage_inputs
from stages.project.schema import METHODS
from stages.training import results as training_results
from stages.training import run
from stages.training.save_point import Saved, SavePoint
from tests.four_bit import needs_bitsandbytes
from tests.imports import ROOT
from tests.training.tiny import prepare, results, write_params

pytestmark = pytest.mark.slow

os.environ["PYTHONPATH"] = str(ROOT)  # the server below looks there only
# forked from a server that has imported everything and run nothing: a start costs no seconds, and no thread is lost
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["stages.training.run", "stages.methods.registry", "tests.training.test_resumption"])


def die_after(points: int, calls: int) -> None:
    """Kill this process `calls` Python calls after its save point number `points`, or before the first with 0.

    Counted in calls, not seconds, the moment is anywhere in the code and the same on every machine.
    """
    written = []
    write = SavePoint.write

    def count_down(_frame, event: str, _argument) -> None:
        nonlocal calls
        calls -= event == "call"
        if calls <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counting_write(point: SavePoint, saved: Saved) -> None:
        try:
            write(point, saved)
        finally:
            written.append(saved)
            if len(written) == points:
                sys.setprofile(count_down)

    SavePoint.write = counting_write
    if not points:
        sys.setprofile(count_down)


def die_while_writing() -> None:
    """Kill this process when it has written its first save point beside the old one and not yet put it there."""
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)


def train_here(
    folder: Path, method: str, seconds: float, file_limit: int | None, prepare_death: Callable[[], None] | None
) -> None:
    """Run the train stage of `method` in `folder`; no file may grow beyond `file_limit` bytes."""
    os.chdir(folder)
    sys.stdout = sys.stderr = (folder / "output.txt").open("a", buffering=1)
    os.environ["SAVE_POINT_SECONDS"] = str(seconds)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    if prepare_death:
        prepare_death()
    run.train(method_of(method))


def start(
    folder: Path,
    method: str,
    seconds: float = 0,
    file_limit: int | None = None,
    prepare_death: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """Train to the end, or to the death that was prepared; return the exit code and what all starts in `folder` printed."""
    process = CONTEXT.Process(target=train_here, args=(folder, method, seconds, file_limit, prepare_death))
    process.start()
    process.join()
    return process.exitcode, (folder / "output.txt").read_text()


def finish(folder: Path, method: str, **options) -> str:
    exit_code, output = start(folder, method, **options)
    assert exit_code == 0, output
    return output


def kill(folder: Path, method: str, prepare_death: Callable[[], None], **options) -> str:
    exit_code, output = start(folder, method, prepare_death=prepare_death, **options)
    assert exit_code == -signal.SIGKILL, output
    return output


@pytest.fixture
def copies(tmp_path, tiny_bert, params):
    """A function that makes a prepared project folder; `dropout` is on, so every random number counts."""
    tiny_bert.bert.config.hidden_dropout_prob = 0.1

    def make(name: str, **options) -> Path:
        folder = tmp_path / name
        tiny_bert.bert.save_pretrained(folder / "models/base")
        prepare(folder, rows=50)
        write_params(folder, params, epochs=4, **options)
        return folder

    return make


@pytest.mark.parametrize("awp", [True, False], ids=["awp", "plain"])
@pytest.mark.parametrize("method", METHODS)
def test_killed_at_random_moments(copies, method, awp):
    untouched, killed = copies("untouched", awp=awp), copies("killed", awp=awp)
    finish(untouched, method, seconds=3600)  # saves at the end of epochs only
    generator = random.Random(f"{method} {awp}")
    for points in (0, *(generator.randint(1, 4) for _ in range(3))):  # at most 12 of 24 in all
        kill(killed, method, partial(die_after, points, generator.randint(1, 3000)))
    kill(killed, method, die_while_writing)
    output = finish(killed, method)

    assert output.count("resuming from step") == 4  # all but the first start and the one after it, which found no save point
    assert results(killed) == results(untouched)
    assert len(results(killed)) == (7 if method == "full" else 9)
    assert not list((killed / SAVE_POINTS).iterdir())


@pytest.mark.parametrize(
    ("method", "frozen"),
    [("full", "same"), ("lora", "bf16"), ("adapter", "bf16"), pytest.param("lora", "nf4", marks=needs_bitsandbytes)],
)
def test_killed_and_resumed_in_bf16_ends_in_the_same_bytes(copies, method, frozen):
    options = {"precision": "bf16", "frozen_dtype": frozen}
    untouched, killed = copies("untouched", **options), copies("killed", **options)
    finish(untouched, method, seconds=3600)
    for points in (1, 3):
        kill(killed, method, partial(die_after, points, 500))
    assert finish(killed, method).count("resuming from step") == 2
    assert results(killed) == results(untouched)
    record = json.loads((killed / f"metrics/provenance/train_{method}.json").read_text())["inputs"]
    assert record["machine precision"] == "bfloat16 (autocast)" and record["parameter train.precision"] == "'bf16'"


@pytest.mark.parametrize("method", METHODS)
def test_every_saved_point_leads_to_the_same_end(copies, params, method, monkeypatch):
    """Each point that a training saved is resumed by a training of its own, the end of an epoch and the last one included."""
    folder = copies("project")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SAVE_POINT_SECONDS", "0")
    path = folder / SAVE_POINTS / f"{method}.safetensors"
    points, write = [], SavePoint.write
    monkeypatch.setattr(SavePoint, "write", lambda self, saved: (write(self, saved), points.append(path.read_bytes())))
    run.train(method_of(method))
    expected = results(folder)
    monkeypatch.setattr(SavePoint, "write", write)
    assert len(points) >= 20
    for content in points[:: len(points) // 5] + points[-1:]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        run.train(method_of(method))
        assert results(folder) == expected


def test_early_stopping_resumes_where_it_was(copies, monkeypatch):
    """Killed after the evaluation that ended it, a training does not train on."""
    folder = copies("project", patience=1)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(training_results, "save_checkpoint", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.train(method_of("lora"))
    point = SavePoint(SAVE_POINTS / "lora.safetensors", stage_inputs("train_lora", load_params()))
    saved = point.read()
    assert saved.state["finished"] and len(saved.state["history"]) < 4  # it did stop early
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    run.train(method_of("lora"))
    after = results(folder)
    run.train(method_of("lora"))
    assert results(folder) == after


@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_a_pause_that_is_no_number_of_seconds_is_refused(copies, monkeypatch, value):
    folder = copies("project")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SAVE_POINT_SECONDS", value)
    with pytest.raises(UserError, match=f"SAVE_POINT_SECONDS: a number of seconds, 0 or more, is needed, received '{value}'"):
        run.train(method_of("lora"))


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_last_good_state(copies):
    """With room for the weights but not for the optimizer's state, no point is saved; training continues and prints that."""
    untouched, full = copies("untouched"), copies("full")
    finish(untouched, "full", seconds=3600)
    kill(full, "full", partial(die_after, 1, 1))
    path = full / SAVE_POINTS / "full.safetensors"
    good = path.read_bytes()
    weights = (untouched / "models/full/model.safetensors").stat().st_size
    assert weights + 1000 < len(good)

    output = kill(full, "full", partial(die_after, 2, 1), file_limit=weights + 1000)
    assert "no save point was written at step" in output and "the previous one is kept" in output
    assert path.read_bytes() == good
    finish(full, "full")
    assert results(full) == results(untouched)


def test_a_point_holds_no_more_than_weights_best_weights_and_optimizer(copies, monkeypatch):
    folder = copies("project")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(training_results, "save_checkpoint", full_disk)
    with pytest.raises(OSError, match="No space"):
        run.train(method_of("adapter"))
    with safe_open(SAVE_POINTS / "adapter.safetensors", framework="pt") as file:
        sizes = {name: file.get_tensor(name).nbytes for name in file.keys()}  # noqa: SIM118
    trained = sum(size for name, size in sizes.items() if name.startswith("model."))
    assert sum(sizes.values()) < 4 * trained + 10_000  # 10 kB: the generator's state, the steps


@pytest.mark.parametrize("method", METHODS)
def test_everything_that_determines_the_result_is_in_the_fingerprint(copies, params, method, monkeypatch):
    folder = copies("project")
    monkeypatch.chdir(folder)
    stage = f"train_{method}"
    before = stage_inputs(stage, load_params())
    assert before == stage_inputs(stage, load_params())

    def changed() -> set[str]:
        after = stage_inputs(stage, load_params())
        return {name for name in before if before[name] != after[name]}

    (folder / "data/processed/train.arrow").write_bytes(b"other")
    assert changed() == {"data/processed/train.arrow"}
    (folder / "models/base/config.json").write_text("{}")
    assert changed() == {"data/processed/train.arrow", "models/base"}
    write_params(folder, params, epochs=4, weight_decay=0.5)
    assert changed() == {"data/processed/train.arrow", "models/base", "parameter train.weight_decay"}
    assert {"stages/training", f"stages/methods/{method}.py", "package torch", "machine threads"} <= before.keys()
    assert [name for name, value in before.items() if value == "absent"] == ["requirements.txt"]
