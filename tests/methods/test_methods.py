"""What each method trains, where it sits, and that it survives saving and loading."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from peft_extras.mixout import MixoutLinear, apply_mixout
from stages.classifier.counting import count_parameters, head_modules
from stages.classifier.faster.dropout import CpuDropout
from stages.classifier.saving import BASE_RECORD, save_checkpoint
from stages.methods.checkpoint import checkpoint_bytes, load_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.schema import METHODS

LABELS = ["negative", "positive"]


@pytest.fixture
def tokenizer(tmp_path):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))
    return BertTokenizerFast(str(vocabulary))


def shake(model) -> None:
    """Move all trainable weights, so that nothing rests on a start at zero."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize(
    ("method", "body", "total"),
    [("full", 22_713_216, 22_713_986), ("lora", 147_456, 22_861_442), ("adapter", 297_600, 23_011_586)],
)
def test_parameter_counts_on_the_embedded_architecture(method, body, total, params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, initializer_range=0.0
    )
    BertForSequenceClassification(config).bert.save_pretrained("models/base")
    counts = count_parameters(build(method_of(method), params, LABELS))
    assert (counts.trainable_body, counts.trainable_head, counts.total) == (body, 770, total)
    assert counts.trainable == body + 770


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_start_from_the_same_head(method, project, params):
    head = next(iter(head_modules(build(method_of(method), params, LABELS)).values()))
    reference = next(iter(head_modules(build(method_of("full"), params, LABELS)).values()))
    assert torch.equal(head.weight, reference.weight)


def test_lora_starts_as_the_identity(project, params, batch):
    lora, full = build(method_of("lora"), params, LABELS).eval(), build(method_of("full"), params, LABELS).eval()
    assert torch.equal(lora(**batch).logits, full(**batch).logits)


def test_the_adapter_starts_near_the_identity_but_not_at_it(project, params, batch):
    adapter, full = build(method_of("adapter"), params, LABELS).eval(), build(method_of("full"), params, LABELS).eval()
    difference = (adapter(**batch).logits - full(**batch).logits).abs().max()
    assert 0 < difference < 1e-3
    with adapter.disable_adapter():
        hidden = adapter.base_model.model.bert(**batch).pooler_output
    assert torch.equal(hidden, full.bert(**batch).pooler_output)


def test_the_adapters_initial_weights_are_cut_at_two_deviations(project, with_params):
    model = build(method_of("adapter"), with_params(peft={"bottleneck": 4096}), LABELS)
    layer = model.base_model.model.bert.encoder.layer[0].output.dropout
    weight = layer.feedforward_adapter_down["default"].weight
    assert weight.abs().max() <= 0.02
    # a standard normal cut at +-2 has standard deviation 0.8796
    assert weight.std().item() == pytest.approx(0.01 * 0.8796, rel=0.02)
    assert layer.feedforward_adapter_up["default"].bias.abs().max() == 0


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_reloaded_gives_the_same_logits(method, project, params, batch, tokenizer):
    model = build(method_of(method), params, LABELS)
    apply_mixout(model, head_modules(model), 0.1)
    shake(model)
    folder = Path("models") / method
    save_checkpoint(model, tokenizer, folder)
    assert torch.equal(load_checkpoint(folder)(**batch).logits, model.eval()(**batch).logits)
    assert not any(isinstance(module, MixoutLinear) for module in load_checkpoint(folder).modules())
    assert checkpoint_bytes(folder) > 4 * count_parameters(model).trainable


@pytest.mark.parametrize("acceleration", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_without_acceleration_a_model_has_the_librarys_own_operations(
    method, acceleration, project, with_params, tokenizer, monkeypatch
):
    monkeypatch.setattr("stages.classifier.faster.apply.pick_device", lambda: torch.device("cpu"))
    built = build(method_of(method), with_params(train={"acceleration": acceleration}), LABELS)
    save_checkpoint(built, tokenizer, Path("models") / method)
    for model in (built, load_checkpoint(Path("models") / method, acceleration=acceleration)):
        hooks = [hook for module in model.modules() for hook in module._forward_pre_hooks.values()]
        assert [hook.__name__ for hook in hooks] == (["_first_token"] if acceleration else [])
        assert model.config._attn_implementation == ("cpu_attention" if acceleration else "sdpa")
        assert not any(
            isinstance(module, CpuDropout) for module in model.modules()
        )  # training replaces dropout, nothing else does


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_holds_weights_config_and_tokenizer_only(method, project, params, tokenizer):
    model = build(method_of(method), params, LABELS)
    save_checkpoint(model, tokenizer, Path("models") / method)
    weights = {"model.safetensors"} if method == "full" else {"adapter_model.safetensors", "adapter_config.json", BASE_RECORD}
    files = {path.name for path in (Path("models") / method).iterdir()}
    assert files == weights | {"config.json", "tokenizer.json", "tokenizer_config.json"}
    if method != "full":
        saved = load_file(Path("models") / method / "adapter_model.safetensors")
        assert sum(tensor.numel() for tensor in saved.values()) == count_parameters(model).trainable


def test_merged_lora_is_a_plain_model_with_the_same_logits(project, params, batch, tokenizer):
    model = build(method_of("lora"), params, LABELS)
    shake(model)
    save_checkpoint(model, tokenizer, Path("models/lora"))
    merged = load_checkpoint(Path("models/lora"), merge=True)
    assert not any("lora" in name for name, _ in merged.named_modules())
    torch.testing.assert_close(merged(**batch).logits, model.eval()(**batch).logits)


def test_merging_an_adapter_is_refused_and_changes_nothing(project, params, batch, tokenizer):
    model = build(method_of("adapter"), params, LABELS).eval()
    before = model(**batch).logits
    for merge in (model.merge_adapter, model.merge_and_unload):
        with pytest.raises(NotImplementedError, match="cannot be merged: with gelu between"):
            merge()
    assert torch.equal(model(**batch).logits, before)
    save_checkpoint(model, tokenizer, Path("models/adapter"))
    with pytest.raises(UserError, match="models/adapter: a bottleneck adapter cannot be merged"):
        load_checkpoint(Path("models/adapter"), merge=True)


def test_a_missing_checkpoint_is_named(project):
    with pytest.raises(UserError, match=r"models/lora: no checkpoint.*run the stage train_lora"):
        load_checkpoint(Path("models/lora"))
