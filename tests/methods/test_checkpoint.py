"""Checkpoints: a new pooler is part of them, and damaged or foreign ones are refused with one message."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertTokenizerFast

from peft_extras.mixout import apply_mixout
from stages.classifier.counting import count_parameters, head_modules
from stages.classifier.four_bit import packed_layers
from stages.classifier.low_precision import frozen_dtype_of
from stages.classifier.saving import BASE_RECORD, save_checkpoint
from stages.methods.checkpoint import load_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.schema import METHODS
from tests.four_bit import hide_bitsandbytes, needs_bitsandbytes
from tests.refusals import refused

LABELS = ["negative", "positive"]
BASE = Path("models/base")


def write_vocabulary() -> None:
    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))


@pytest.mark.parametrize("method", METHODS)
def test_a_new_pooler_is_trained_and_saved_like_the_classifier(project, params, batch, method):
    """Encoders trained on masked words alone have no pooler: a frozen one of random numbers would be another after loading."""
    tensors = {name: tensor for name, tensor in load_file(BASE / "model.safetensors").items() if "pooler" not in name}
    save_file(tensors, BASE / "model.safetensors", {"format": "pt"})
    model = build(method_of(method), params, LABELS)
    heads = head_modules(model)
    assert len(heads) == 2 and all(p.requires_grad for module in heads.values() for p in module.parameters())
    assert apply_mixout(model, heads, 0.1) == 2
    assert count_parameters(model).trainable_head == 16 * 16 + 16 + 16 * 2 + 2
    folder = Path("models") / method
    write_vocabulary()
    save_checkpoint(model, BertTokenizerFast("vocab.txt"), folder)
    torch.testing.assert_close(load_checkpoint(folder)(**batch).logits, model.eval()(**batch).logits, atol=1e-6, rtol=1e-5)


@pytest.fixture
def checkpoint(project, params, request):
    """The folder of a saved LoRA model, with its tokenizer."""
    write_vocabulary()
    folder = Path("models/lora")
    save_checkpoint(build(method_of("lora"), params, LABELS), BertTokenizerFast("vocab.txt"), folder)
    return folder


def test_a_checkpoint_of_another_base_model_is_refused(checkpoint, batch):
    before = load_checkpoint(checkpoint)(**batch).logits
    path = BASE / "model.safetensors"
    good = path.read_bytes()
    tensors = load_file(path)
    tensors["encoder.layer.0.output.dense.bias"] += 1e-3
    save_file(tensors, path, {"format": "pt"})
    message = refused(load_checkpoint, checkpoint)
    recorded = json.loads((checkpoint / BASE_RECORD).read_text())
    assert recorded["path"] == "models/base" and recorded["weights_sha256"] in message
    assert "but those in models/base have" in message and "dvc repro train_lora" in message
    path.write_bytes(good)
    assert torch.equal(load_checkpoint(checkpoint)(**batch).logits, before)


@pytest.mark.parametrize("name", [BASE_RECORD, "config.json", "adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("content", [None, b"{", b"{}"])
def test_a_checkpoint_with_a_damaged_file_is_refused(checkpoint, name, content):
    if content is None:
        (checkpoint / name).unlink()
    else:
        (checkpoint / name).write_bytes(content)
    message = refused(load_checkpoint, checkpoint)
    assert message.startswith("models/lora: ") and "train_lora" in message


def test_adapter_weights_of_another_configuration_are_refused(checkpoint):
    tensors = load_file(checkpoint / "adapter_model.safetensors")
    lost = next(name for name in sorted(tensors) if "layer.1" in name)
    del tensors[lost]
    save_file(tensors, checkpoint / "adapter_model.safetensors", {"format": "pt"})
    assert f"they differ in {lost}" in refused(load_checkpoint, checkpoint)


def test_a_full_checkpoint_without_its_head_is_refused(project, params, checkpoint):
    folder = Path("models/full")
    save_checkpoint(build(method_of("full"), params, LABELS), BertTokenizerFast("vocab.txt"), folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["classifier.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert "such as classifier.weight" in refused(load_checkpoint, folder)


@pytest.mark.parametrize("method", ["lora", "adapter"])
@pytest.mark.parametrize("frozen", ["bf16", "fp16", pytest.param("nf4", marks=needs_bitsandbytes)])
def test_frozen_weights_come_back_in_the_precision_of_training(project, with_params, batch, method, frozen):
    """The same logits, bit for bit, and with LoRA merged into the rounded weights the same but for the order of sums."""
    model = build(method_of(method), with_params(train={"frozen_dtype": frozen}), LABELS)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
    write_vocabulary()
    folder = Path("models") / method
    save_checkpoint(model, BertTokenizerFast("vocab.txt"), folder)
    assert json.loads((folder / BASE_RECORD).read_text())["frozen_dtype"] == frozen
    expected = model.eval()(**batch).logits
    loaded = load_checkpoint(folder)
    assert torch.equal(loaded(**batch).logits, expected)
    if frozen == "nf4":
        packed = {place: layer.weight for place, layer in packed_layers(model)}
        again = {place: layer.weight for place, layer in packed_layers(loaded)}
        assert len(packed) == 13 and all(torch.equal(packed[place], again[place]) for place in packed)
    else:
        assert frozen_dtype_of(loaded) == frozen
    if method == "lora":
        merged = load_checkpoint(folder, merge=True)
        assert {weight.dtype for weight in merged.parameters()} == {torch.float32}
        torch.testing.assert_close(merged(**batch).logits, expected, atol=1e-5, rtol=1e-5)
        unrounded = json.loads((folder / BASE_RECORD).read_text())
        del unrounded["frozen_dtype"]
        (folder / BASE_RECORD).write_text(json.dumps(unrounded))
        assert (load_checkpoint(folder, merge=True)(**batch).logits - expected).abs().max() > 1e-5


def test_without_it_the_record_is_as_before(checkpoint):
    assert set(json.loads((checkpoint / BASE_RECORD).read_text())) == {"path", "weights_sha256"}


def test_an_unknown_precision_of_frozen_weights_is_refused(checkpoint):
    content = json.loads((checkpoint / BASE_RECORD).read_text())
    (checkpoint / BASE_RECORD).write_text(json.dumps(content | {"frozen_dtype": "int3"}))
    message = refused(load_checkpoint, checkpoint)
    assert "frozen_dtype in base_model.json must be one of same, bf16, fp16, nf4, received 'int3'" in message


@pytest.mark.parametrize("merge", [True, False])
def test_a_checkpoint_of_nf4_without_the_package_is_refused(checkpoint, monkeypatch, merge):
    content = json.loads((checkpoint / BASE_RECORD).read_text())
    (checkpoint / BASE_RECORD).write_text(json.dumps(content | {"frozen_dtype": "nf4"}))
    hide_bitsandbytes(monkeypatch)
    message = refused(load_checkpoint, checkpoint, merge)
    assert message.startswith("models/lora: trained with nf4") and "pip install -r requirements-qlora.txt" in message


@needs_bitsandbytes
def test_dora_beside_nf4_comes_back_and_merges(project, with_params, batch):
    params = with_params(train={"frozen_dtype": "nf4"}, peft={"use_dora": True, "target": "all"})
    model = build(method_of("lora"), params, LABELS)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
    write_vocabulary()
    folder = Path("models/lora")
    save_checkpoint(model, BertTokenizerFast("vocab.txt"), folder)
    expected = model.eval()(**batch).logits
    assert torch.equal(load_checkpoint(folder)(**batch).logits, expected)
    torch.testing.assert_close(load_checkpoint(folder, merge=True)(**batch).logits, expected, atol=1e-5, rtol=1e-5)
