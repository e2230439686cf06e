"""What is faster computes the same: dropout with its probabilities, attention with its formula, a head with the same logits."""

import dataclasses
import json
import platform
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, BertConfig, ElectraConfig, RobertaConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from stages.classifier.families import FAMILIES
from stages.classifier.faster.allocator import keep_freed_memory
from stages.classifier.faster.apply import accelerate, accelerate_training
from stages.classifier.faster.attention import SHORT, attention
from stages.classifier.faster.dropout import CpuDropout, cpu_dropout, replace_dropout
from stages.classifier.faster.first_token import keep_first_token
from stages.classifier.splits import load_labels, load_split, load_tokenizer
from stages.methods.registry import method_of
from stages.project.parameters import load_params
from stages.training.run import fit
from tests.training.tiny import prepare, write_params

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_and_scales_with_its_probability(p):
    torch.manual_seed(0)
    x = torch.full((400, 1003), 3.0)  # no multiple of four elements
    y = cpu_dropout(x, p)
    kept = y != 0
    assert torch.unique(y[kept]).tolist() == pytest.approx([3 / (1 - round(p * 65536) / 65536)])
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert kept.double().mean().item() == pytest.approx(1 - p, abs=4 * deviation)
    # four elements share one draw of 64 bits: each must have its own part of it
    parts = kept.flatten()[: kept.numel() // 4 * 4].view(-1, 4).double()
    assert (torch.corrcoef(parts.T) - torch.eye(4)).abs().max() < 4 / len(parts) ** 0.5


def test_dropout_is_a_function_of_the_seed_and_its_gradient_is_the_mask():
    x = torch.ones(7, 9, requires_grad=True)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(cpu_dropout(x, 0.5))
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])
    masks[0].sum().backward()
    assert torch.equal(x.grad, masks[0].detach())


def test_dropout_at_its_limits_and_in_evaluation():
    x = torch.randn(5, 4)
    assert torch.equal(cpu_dropout(x, 0.0), x)
    assert torch.equal(cpu_dropout(x, 1.0), torch.zeros(5, 4))
    assert torch.equal(CpuDropout(0.5).eval()(x), x) and not torch.equal(CpuDropout(0.5)(x), x)


def test_every_dropout_is_replaced_and_keeps_its_mode():
    model = nn.Sequential(nn.Dropout(0.2), nn.ModuleDict({"default": nn.Dropout(0.3).eval()}), nn.Linear(2, 2))
    assert replace_dropout(model) == 2
    assert [(type(m), m.p, m.training) for m in (model[0], model[1]["default"])] == [
        (CpuDropout, 0.2, True),
        (CpuDropout, 0.3, False),
    ]


@pytest.mark.parametrize("tokens", [SHORT, SHORT + 1])
def test_attention_without_dropout_is_the_librarys(tokens):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, tokens, 8).unbind(0)
    mask = torch.zeros(2, 1, tokens, tokens)
    mask[1, :, :, tokens // 2 :] = torch.finfo(torch.float32).min
    module = SimpleNamespace(is_causal=False)
    for m in (None, mask):
        ours, _ = attention(module, query, key, value, m, scaling=0.3)
        theirs, _ = sdpa_attention_forward(module, query, key, value, m, scaling=0.3)
        torch.testing.assert_close(ours, theirs)


def test_attention_drops_whole_weights_after_the_softmax():
    torch.manual_seed(0)
    query, key = torch.randn(2, 2, 4, 8, 8).unbind(0)
    value = torch.eye(8).expand(2, 4, 8, 8)  # makes the output the weights themselves
    mask = torch.zeros(2, 1, 8, 8)
    mask[1, :, :, 5:] = torch.finfo(torch.float32).min
    out, _ = attention(SimpleNamespace(is_causal=False), query, key, value, mask, dropout=0.5)
    expected = 2 * (query @ key.transpose(2, 3) / 8**0.5 + mask).softmax(-1).transpose(1, 2)
    kept = out != 0
    torch.testing.assert_close(out[kept], expected[kept])
    assert not out[1, :, :, 5:].any() and 0.3 < kept[0].float().mean() < 0.7


@pytest.mark.parametrize("config", [BertConfig, RobertaConfig, ElectraConfig])
def test_one_token_after_the_last_attention_gives_the_same_logits_and_gradients(config):
    torch.manual_seed(0)
    whole = AutoModelForSequenceClassification.from_config(config(**SIZES)).eval()
    cut = AutoModelForSequenceClassification.from_config(whole.config).eval()
    cut.load_state_dict(whole.state_dict())
    keep_first_token(cut, FAMILIES[whole.config.model_type])
    ids, mask = torch.randint(5, 50, (4, 9)), torch.ones(4, 9, dtype=torch.int64)
    ids[1, 5:], mask[1, 5:] = 0, 0
    seen = []
    cut.base_model.encoder.layer[-1].output.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    outputs = [model(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 1, 0])) for model in (whole, cut)]
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits)
    assert seen == [(4, 1, 16)]
    for output in outputs:
        output.loss.backward()
    for (name, a), b in zip(whole.named_parameters(), cut.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=1e-4)


def test_a_family_whose_last_block_is_not_found_in_every_layer_is_an_error(tiny_bert):
    with pytest.raises(AssertionError, match="names 0 modules in 2 layers"):
        keep_first_token(tiny_bert, dataclasses.replace(FAMILIES["bert"], last_block="nothing"))


def test_nothing_of_it_is_saved_with_the_model(tiny_bert, tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    tiny_bert.save_pretrained(before)
    accelerate(tiny_bert)
    accelerate_training(tiny_bert)
    tiny_bert.save_pretrained(after)
    assert json.loads((before / "config.json").read_text()) == json.loads((after / "config.json").read_text())
    assert (before / "model.safetensors").read_bytes() == (after / "model.safetensors").read_bytes()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of another C library has no such settings")
def test_the_allocator_takes_its_settings():
    assert keep_freed_memory()


@pytest.mark.slow
@pytest.mark.parametrize("acceleration", [False, True])
def test_only_an_accelerated_training_replaces_the_librarys_operations(acceleration, project, params, monkeypatch):
    monkeypatch.setattr("stages.classifier.faster.apply.pick_device", lambda: torch.device("cpu"))
    prepare(project)
    write_params(project, params, epochs=1, acceleration=acceleration)
    run = fit(method_of("lora"), load_params(), load_labels(), load_tokenizer(), load_split("train"))
    model = run.trainer.model
    dropouts = {type(module) for module in model.modules() if isinstance(module, nn.Dropout)}
    assert dropouts == {CpuDropout if acceleration else nn.Dropout}
    assert model.config._attn_implementation == ("cpu_attention" if acceleration else "sdpa")
