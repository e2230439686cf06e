"""A training that is killed, at any moment and more than once, ends in the bytes of one that was never touched."""

import errno
import multiprocessing
import os
import random
import resource
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.parameters import load_params
from stages.project.paths import SAVE_POINTS
from stages.project.provenance import stage_inputs
from stages.project.schema import METHODS
from stages.training import results as training_results
from stages.training import run
from stages.training.save_point import KEPT, Saved, SavePoint, save_point_of
from tests.imports import ROOT
from tests.training.tiny import prepare, results, write_params

os.environ["PYTHONPATH"] = str(ROOT)  # the server below looks there only
# forked from a server that has imported everything and run nothing: a start costs no seconds, and no thread is lost
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["stages.training.run", "stages.methods.registry", "tests.training.test_resume"])


@pytest.fixture(scope="module", autouse=True)
def server():
    """Start the server now, so that no test measures its imports."""
    process = CONTEXT.Process(target=os.getpid)
    process.start()
    process.join()


def train_here(folder: Path, method: str, seconds: float, output: Path, file_limit: int | None) -> None:
    """Run the train stage of `method` in `folder`; no file may grow beyond `file_limit` bytes."""
    os.chdir(folder)
    sys.stdout = sys.stderr = output.open("a", buffering=1)
    os.environ["SAVE_POINT_SECONDS"] = str(seconds)
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    run.train(method_of(method))


def start(folder: Path, method: str, seconds: float = 0, file_limit: int | None = None):
    process = CONTEXT.Process(target=train_here, args=(folder, method, seconds, folder / "output.txt", file_limit))
    process.start()
    return process


def finish(folder: Path, method: str, **kwargs) -> str:
    """Train to the end and return what all starts in `folder` have printed."""
    process = start(folder, method, **kwargs)
    process.join()
    output = (folder / "output.txt").read_text()
    assert process.exitcode == 0, output
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
    for points in (0, generator.randint(1, 4), generator.randint(1, 4), generator.randint(1, 4)):
        kill(killed, method, points, generator.uniform(0, 0.05))
    kill_while_writing(killed, method)
    output = finish(killed, method)

    assert output.count("going on from step") >= 4
    assert results(killed) == results(untouched)
    assert len(results(killed)) == (8 if method == "full" else 10)
    assert not list((killed / SAVE_POINTS).iterdir())


def kill(folder: Path, method: str, points: int, delay: float) -> None:
    """Start a training and kill it `delay` seconds after it has saved `points` points, of 24 in all."""
    path = folder / SAVE_POINTS / f"{method}.safetensors"
    process = start(folder, method)
    for _ in range(points):
        before = path.stat().st_ino if path.exists() else None
        while not path.exists() or path.stat().st_ino == before:
            assert process.is_alive(), (folder / "output.txt").read_text()
    time.sleep(delay)
    process.kill()
    process.join()


def kill_while_writing(folder: Path, method: str) -> None:
    """Kill a start as soon as it writes a save point, if it still writes one."""
    process = start(folder, method)
    temporary = folder / SAVE_POINTS / f"{method}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    while process.is_alive() and not temporary.exists():
        pass
    process.kill()
    process.join()


@pytest.mark.parametrize("method", METHODS)
def test_every_saved_point_leads_to_the_same_end(copies, params, method, monkeypatch):
    """Each point that a training saved is taken up by a training of its own, the end of an epoch and the last one included."""
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


def test_early_stopping_goes_on_where_it_was(copies, monkeypatch):
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


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_a_pause_that_is_no_number_of_seconds_is_refused(copies, monkeypatch, value):
    folder = copies("project")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SAVE_POINT_SECONDS", value)
    with pytest.raises(UserError, match=f"SAVE_POINT_SECONDS: a number of seconds, 0 or more, is needed, received '{value}'"):
        run.train(method_of("lora"))


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_last_good_state(copies):
    """With room for the weights but not for the optimizer's state, no point is saved; training goes on and says so."""
    untouched, full = copies("untouched"), copies("full")
    finish(untouched, "full", seconds=3600)
    process = start(full, "full")
    path = full / SAVE_POINTS / "full.safetensors"
    while not path.exists():
        time.sleep(0.001)
    process.kill()
    process.join()
    good = path.read_bytes()
    weights = (untouched / "models/full/model.safetensors").stat().st_size
    assert weights + 1000 < len(good)

    process = start(full, "full", file_limit=weights + 1000)
    while "no point was saved" not in (full / "output.txt").read_text():
        time.sleep(0.001)
    process.kill()
    process.join()
    assert path.read_bytes() == good
    assert "the one before it stands" in finish(full, "full")
    assert results(full) == results(untouched)


@pytest.fixture
def point(tmp_path) -> SavePoint:
    point = SavePoint(tmp_path / "here/point.safetensors", {"parameter seed": "13", "stages/x.py": "abc"})
    point.write(Saved({"w": torch.arange(3.0)}, {"step": 5}))
    return point


def test_what_a_kill_left_half_written_goes_with_the_state(point):
    left = point.path.with_suffix(".tmp")
    left.mkdir()
    (left / ".tmpAbC123").write_bytes(b"half")  # safetensors writes under a name of its own
    point.remove()
    assert not list(point.path.parent.iterdir())


def test_a_point_reads_back(point):
    saved = point.read()
    assert saved.state == {"step": 5} and torch.equal(saved.tensors["w"], torch.arange(3.0))
    point.remove()
    assert point.read() is None and not list(point.path.parent.iterdir())


@pytest.mark.parametrize("inputs", [{"parameter seed": "14", "stages/x.py": "abc"}, {"stages/x.py": "abc"}])
def test_a_point_of_another_training_is_not_used(point, inputs, capsys):
    assert SavePoint(point.path, inputs).read() is None
    assert "differs in parameter seed; starting from the beginning" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x80\x04." + b])
def test_a_damaged_point_is_not_used(point, damage, capsys):
    point.path.write_bytes(damage(point.path.read_bytes()))
    assert point.read() is None
    assert "no usable state" in capsys.readouterr().out


def test_queued_experiments_keep_their_states_in_the_checkout_one_each_and_not_too_many(tmp_path, monkeypatch):
    folder = tmp_path / ".dvc/tmp/exps/tmp1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    points = [save_point_of("lora", {"parameter peft.rank": str(rank)}) for rank in range(KEPT + 2)]
    for age, point in enumerate(points):
        point.write(Saved({"w": torch.tensor(age)}, {}))
        os.utime(point.path, (age, age))
    assert [point.read() is not None for point in points] == [False, False] + [True] * KEPT
    assert {point.path.parent for point in points} == {tmp_path / SAVE_POINTS / "queue"}
    shutil.rmtree(folder)  # as DVC does with a failed experiment's folder
    other = tmp_path / ".dvc/tmp/exps/tmp2"
    other.mkdir()
    monkeypatch.chdir(other)
    assert save_point_of("lora", points[-1].inputs).read().tensors["w"] == KEPT + 1
    monkeypatch.chdir(tmp_path)
    assert save_point_of("lora", points[-1].inputs).path == SAVE_POINTS / "lora.safetensors"


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
    assert {"stages/training/run.py", f"stages/methods/{method}.py", "package torch", "machine threads"} <= before.keys()
    assert "absent" not in before.values()
