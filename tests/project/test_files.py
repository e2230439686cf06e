"""A folder of results is replaced completely or not at all; a hash covers content and nothing else."""

import pytest

from stages.project.files import content_hash, replaced_folder


def test_the_new_folder_replaces_the_old_one(tmp_path):
    target = tmp_path / "deep" / "out"
    for name in ("old", "new"):
        with replaced_folder(target) as folder:
            (folder / name).touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(target.parent.iterdir()) == [target]


def test_after_an_exception_the_old_folder_stands(tmp_path):
    target = tmp_path / "out"
    with replaced_folder(target) as folder:
        (folder / "old").touch()

    def fail() -> None:
        with replaced_folder(target) as folder:
            (folder / "new").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_running_the_code_does_not_change_the_hash_of_its_folder(tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room/code.py").write_text("pass\n")
    before = content_hash(tmp_path)
    (tmp_path / "room/__pycache__").mkdir()
    (tmp_path / "room/__pycache__/code.cpython-311.pyc").write_bytes(b"compiled")
    assert content_hash(tmp_path) == before
    (tmp_path / "room/data.txt").write_text("new")
    assert content_hash(tmp_path) != before
