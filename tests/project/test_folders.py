"""A folder of results is replaced whole or not at all."""

import pytest

from stages.project.files import replaced_folder


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
    with pytest.raises(RuntimeError), replaced_folder(target) as folder:
        (folder / "new").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]
