"""What each method trains, where it sits, and that it survives saving and loading."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from stages.classifier.counting import count_parameters, head_modules
from stages.classifier.saving import BASE_RECORD, save_checkpoint
from stages.methods.bottleneck import BottleneckLayer
from stages.methods.checkpoint import checkpoint_bytes, load_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.schema import METHODS
from stages.regularization.mixout import MixoutLinear, apply_mixout

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
def test_counts_by_hand_on_the_tiny_model(method, project, with_params):
    model = build(method_of(method), with_params(peft={"rank": 3, "bottleneck": 5}), LABELS)
    by_hand = {
        "full": sum(p.numel() for n, p in model.named_parameters() if not n.startswith("classifier")),
        "lora": 2 * 4 * 3 * (16 + 16),  # layers * projections * r * (in + out)
        "adapter": 2 * (2 * 16 * 5 + 5 + 16),  # layers * (down, up, and their biases)
    }
    assert count_parameters(model).trainable_body == by_hand[method]
    assert count_parameters(model).trainable_head == 16 * 2 + 2


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_start_from_the_same_head(method, project, params):
    head = next(iter(head_modules(build(method_of(method), params, LABELS)).values()))
    reference = next(iter(head_modules(build(method_of("full"), params, LABELS)).values()))
    assert torch.equal(head.weight, reference.weight)


def test_lora_sits_on_the_four_attention_projections_only(project, params):
    model = build(method_of("lora"), params, LABELS)
    adapted = sorted(name.removeprefix("base_model.model.") for name in model.base_model.targeted_module_names)
    wanted = ["self.query", "self.key", "self.value", "output.dense"]
    assert adapted == sorted(f"bert.encoder.layer.{i}.attention.{name}" for i in range(2) for name in wanted)


def test_lora_starts_as_the_identity(project, params, batch):
    lora, full = build(method_of("lora"), params, LABELS).eval(), build(method_of("full"), params, LABELS).eval()
    assert torch.equal(lora(**batch).logits, full(**batch).logits)


def test_one_adapter_in_each_feed_forward_block(project, params):
    model = build(method_of("adapter"), params, LABELS)
    places = [name for name, module in model.named_modules() if isinstance(module, BottleneckLayer)]
    assert places == [f"base_model.model.bert.encoder.layer.{i}.output.dropout" for i in range(2)]


def test_the_adapter_computes_its_formula_between_dropout_and_layer_norm(project, params):
    model = build(method_of("adapter"), params, LABELS).eval()
    shake(model)
    block = model.base_model.model.bert.encoder.layer[0].output
    layer = block.dropout
    down, up = layer.feedforward_adapter_down["default"], layer.feedforward_adapter_up["default"]
    inner, x = torch.randn(2, 5, 24), torch.randn(2, 5, 16)
    h = inner @ block.dense.weight.T + block.dense.bias
    z = torch.nn.functional.gelu(h @ down.weight.T + down.bias) @ up.weight.T + up.bias
    torch.testing.assert_close(block(inner, x), block.LayerNorm(h + z + x))


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
        with pytest.raises(NotImplementedError, match="cannot be merged: gelu stands between"):
            merge()
    assert torch.equal(model(**batch).logits, before)
    save_checkpoint(model, tokenizer, Path("models/adapter"))
    with pytest.raises(UserError, match="models/adapter: a bottleneck adapter cannot be merged"):
        load_checkpoint(Path("models/adapter"), merge=True)


def test_the_tuners_prefix_is_no_part_of_a_base_models_names(project, params):
    names = [name for name, _ in build(method_of("full"), params, LABELS).named_modules()]
    assert not any(re.search("feedforward_adapter", name) for name in names)


def test_a_family_without_a_row_is_refused_with_the_list(project, params):
    config = Path("models/base/config.json")
    config.write_text(config.read_text().replace('"bert"', '"gpt2"'))
    with pytest.raises(UserError, match="'gpt2'; supported are: albert, bert"):
        build(method_of("full"), params, LABELS)


def test_a_missing_checkpoint_is_named(project):
    with pytest.raises(UserError, match="models/lora: no checkpoint.*run the stage train_lora"):
        load_checkpoint(Path("models/lora"))
