"""A save point reads back, and is not used when it is damaged or belongs to another training."""

import os
import shutil

import pytest
import torch

from stages.project.paths import SAVE_POINTS
from stages.training.save_point import KEPT, Saved, SavePoint, save_point_of


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
