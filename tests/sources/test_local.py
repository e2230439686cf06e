"""Copying the user's own file and model folder."""

import pytest

from stages.errors import UserError
from stages.sources.local import copy_csv, copy_model


def test_the_file_is_copied_byte_for_byte(tmp_path):
    source = tmp_path / "mine.csv"
    source.write_bytes("text,label\r\ncafé,1\r\n".encode("cp1252"))
    (tmp_path / "out").mkdir()
    copy_csv(source, tmp_path / "out")
    assert (tmp_path / "out/reviews.csv").read_bytes() == source.read_bytes()


def test_a_missing_or_empty_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"data\.csv\.path: .*absent\.csv is no file"):
        copy_csv(tmp_path / "absent.csv", tmp_path)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match=r"empty\.csv is empty"):
        copy_csv(tmp_path / "empty.csv", tmp_path)


def test_pickles_and_code_are_left_behind(tmp_path):
    names = ["config.json", "model.safetensors", "vocab.txt", "spiece.model", "README.md"]
    for name in [*names, "pytorch_model.bin", "training_args.bin", "modeling_mine.py"]:
        (tmp_path / name).write_text(name)
    (tmp_path / "checkpoint-1").mkdir()
    target = tmp_path / "out"
    target.mkdir()
    copy_model(tmp_path, target)
    assert sorted(path.name for path in target.iterdir()) == sorted(names)


def test_what_a_folder_lacks_is_named_with_what_it_holds(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        copy_model(tmp_path / "absent", tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(UserError, match=r"no config\.json and no \*\.safetensors, it holds pytorch_model\.bin"):
        copy_model(tmp_path, tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match=r"has no \*\.safetensors, it holds config\.json, pytorch_model\.bin"):
        copy_model(tmp_path, tmp_path)
