"""Copying the user's own model folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import AutoModel

from stages.fetch.local import copy_model
from stages.project.errors import UserError

TINY_BERT = Path(__file__).parents[2] / "examples/tiny-bert"


@pytest.fixture
def model(tmp_path):
    """A copy of a good model folder."""
    return Path(shutil.copytree(TINY_BERT, tmp_path / "model"))


def test_pickles_and_code_are_left_behind(tmp_path):
    names = ["config.json", "model.safetensors", "vocab.txt", "spiece.model", "README.md"]
    for name in [*names, "pytorch_model.bin", "training_args.bin", "modeling_mine.py"]:
        (tmp_path / name).write_text(name)
    shutil.copy(TINY_BERT / "config.json", tmp_path)
    shutil.copy(TINY_BERT / "model.safetensors", tmp_path)
    (tmp_path / "checkpoint-1").mkdir()
    target = tmp_path / "out"
    target.mkdir()
    copy_model(tmp_path, target)
    assert sorted(path.name for path in target.iterdir()) == sorted(names)


def test_what_a_folder_lacks_is_named_with_what_it_holds(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        copy_model(tmp_path / "absent", tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(UserError, match=r"no config\.json and no \*\.safetensors, it contains pytorch_model\.bin"):
        copy_model(tmp_path, tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match=r"has no \*\.safetensors, it contains config\.json, pytorch_model\.bin"):
        copy_model(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"model_type": "gpt2"}', "a model of family 'gpt2'; supported are: albert, bert, deberta-v2"),
        ('{"model_type": "vit"}', "a model of family 'vit'; supported are"),
        ('{"model_type": "mine", "auto_map": {"AutoModel": "modeling_mine.Mine"}}', "a model of family 'mine'; supported are"),
        ("{}", r"config\.json names no model_type"),
        ("[]", r"config\.json names no model_type"),
        ("", r"config\.json names no model_type"),
    ],
)
def test_an_unsupported_encoder_is_refused_before_anything_is_copied(model, tmp_path, config, message):
    (model / "config.json").write_text(config)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=message):
        copy_model(model, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-10], lambda data: data[:4], lambda data: b"", lambda data: b"\x80\x04" + data]
)
def test_damaged_weights_are_refused(model, tmp_path, damage):
    path = model / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"model\.safetensors is not a complete safetensors file"):
        copy_model(model, tmp_path)


def test_empty_weights_are_refused(model, tmp_path):
    save_file({}, model / "model.safetensors")
    with pytest.raises(UserError, match="contains no weights"):
        copy_model(model, tmp_path)
    save_file({"w": np.zeros(1)}, model / "model.safetensors")
    (tmp_path / "out").mkdir()
    copy_model(model, tmp_path / "out")


def test_only_the_weights_that_transformers_loads_are_copied(model, tmp_path):
    shutil.copy(model / "model.safetensors", model / "model.fp16.safetensors")
    (tmp_path / "out").mkdir()
    copy_model(model, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.safetensors")] == ["model.safetensors"]
    (model / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors and no .*index\.json, its weights are model\.fp16\.safetensors"):
        copy_model(model, tmp_path / "out")


def test_shards_are_copied_if_all_are_there(tmp_path):
    mine, out = tmp_path / "mine", tmp_path / "out"
    out.mkdir()
    AutoModel.from_pretrained(TINY_BERT).save_pretrained(mine, max_shard_size="20KB")
    shards = sorted(path.name for path in mine.glob("*.safetensors"))
    assert len(shards) > 1
    copy_model(mine, out)
    assert sorted(path.name for path in out.glob("*.safetensors")) == shards
    whole, copied = (AutoModel.from_pretrained(folder).state_dict() for folder in (TINY_BERT, out))
    assert whole.keys() == copied.keys() and all(whole[name].equal(copied[name]) for name in whole)
    (mine / shards[0]).unlink()
    with pytest.raises(UserError, match=rf"lacks {shards[0]}, listed in model\.safetensors\.index\.json; it has {shards[1]}"):
        copy_model(mine, out)
    (mine / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(UserError, match=r"index\.json lists no shards"):
        copy_model(mine, out)


def test_an_adapter_is_refused_and_a_configuration_without_one_is_left_behind(model, tmp_path, capsys):
    target = tmp_path / "out"
    target.mkdir()
    (model / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    copy_model(model, target)
    assert "adapter_config.json is left out, as its adapter is not there" in capsys.readouterr().out
    assert {path.name for path in model.iterdir()} - {path.name for path in target.iterdir()} == {"adapter_config.json"}
    (model / "adapter_model.safetensors").touch()
    with pytest.raises(UserError, match=r"holds a PEFT adapter \(adapter_config\.json, adapter_model\.safetensors\)"):
        copy_model(model, target)
    (model / "model.safetensors").unlink()
    with pytest.raises(UserError, match="fold it in with merge_and_unload"):
        copy_model(model, target)
