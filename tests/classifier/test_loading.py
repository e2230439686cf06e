"""Model folders that are not what they should be are refused with one message; nothing is initialized at random instead."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import GPT2Config

from stages.classifier.loading import load_base_model
from tests.refusals import refused

LABELS = ["negative", "positive"]
BASE = Path("models/base")


def edit_config(**values) -> None:
    path = BASE / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('{"model_type": ["bert"]}', "models/base/config.json names no model_type (TypeError"),
        ("{", "models/base/config.json names no model_type (JSONDecodeError"),
        ('{"hidden_size": 16}', "models/base/config.json names no model_type (KeyError"),
        ('{"model_type": "bert", "hidden_size": "wide"}', "models/base: transformers cannot read the model configuration"),
        (
            GPT2Config().to_json_string(),
            "'gpt2'; supported are: albert, bert, deberta-v2, distilbert, electra, modernbert, mpnet, roberta, xlm-roberta",
        ),
    ],
)
def test_a_configuration_of_an_unsupported_encoder_is_refused(project, content, part):
    (BASE / "config.json").write_text(content)
    message = refused(load_base_model, LABELS, 0)
    assert part in message


def test_weights_of_another_model_are_refused_and_not_drawn_at_random(project):
    tensors = load_file(BASE / "model.safetensors")
    save_file({f"other.{name}": tensor for name, tensor in tensors.items()}, BASE / "model.safetensors", {"format": "pt"})
    message = refused(load_base_model, LABELS, 0)
    assert "models/base: not the weights of a bert model" in message and "the file has other." in message


def test_one_lost_tensor_is_named(project):
    tensors = load_file(BASE / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, BASE / "model.safetensors", {"format": "pt"})
    message = refused(load_base_model, LABELS, 0)
    assert "1 of its tensors are missing, such as bert.encoder.layer.1.output.dense.weight" in message


def test_a_pooler_may_be_new(project):
    tensors = {name: tensor for name, tensor in load_file(BASE / "model.safetensors").items() if "pooler" not in name}
    save_file(tensors, BASE / "model.safetensors", {"format": "pt"})
    assert load_base_model(LABELS, 0).num_labels == 2


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\x80\x04" + data])
def test_damaged_weights_are_refused(project, damage):
    path = BASE / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert refused(load_base_model, LABELS, 0).startswith("models/base: the weights could not be loaded")


def test_weights_that_contradict_the_configuration_are_refused(project):
    edit_config(vocab_size=40)
    message = refused(load_base_model, LABELS, 0)
    assert message.startswith("models/base: the weights do not fit config.json")
    assert "bert.embeddings.word_embeddings.weight is (50, 16), expected (40, 16)" in message
