"""Every supported family, on a tiny random model: where the methods sit, what they train, and that it comes back from disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import BertTokenizerFast

from peft_extras.bottleneck import BottleneckLayer
from peft_extras.bottleneck.model import PREFIX
from peft_extras.mixout import MixoutLinear, apply_mixout
from stages.classifier.counting import count_parameters, head_modules
from stages.classifier.families import FAMILIES
from stages.classifier.faster.apply import accelerate
from stages.classifier.loading import load_base_model
from stages.classifier.saving import save_checkpoint
from stages.methods.registry import method_of
from stages.project.schema import METHODS
from tests.imports import ROOT
from tests.methods.tiny_models import LAYERS, TINY, WIDTH, of_class, padded_batch, shake, tiny_classifier, tiny_config

LABELS = ["negative", "positive"]
RANK, BOTTLENECK = 3, 5
every_family = pytest.mark.parametrize("name", TINY)
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def small(with_params):
    return with_params(peft={"rank": RANK, "bottleneck": BOTTLENECK})


@pytest.fixture
def tokenizer(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    return BertTokenizerFast(str(tmp_path / "vocab.txt"))


def plain_name(name: str) -> str:
    return name.removeprefix("base_model.model.")


def test_every_row_of_the_table_has_a_tiny_model():
    assert {tiny_config(name).model_type for name in TINY} == set(FAMILIES)


@every_family
def test_lora_sits_on_every_projection_of_attention_and_nowhere_else(name, small):
    base = tiny_classifier(name)
    expected = {
        f"{place}.{inner}"
        for place, attention in of_class(base, TINY[name].attention).items()
        for inner, module in attention.named_modules()
        if isinstance(module, nn.Linear)
    }
    model = method_of("lora").attach(base, small)
    wrapped = {plain_name(place) for place, module in model.named_modules() if isinstance(module, LoraLayer)}
    assert wrapped == expected
    per_layer = {"modernbert": 2, "deberta-v2-unshared": 6}.get(name, 4)
    assert len(wrapped) == TINY[name].blocks * per_layer


@every_family
def test_one_adapter_in_each_feed_forward_block(name, small):
    tiny, base = TINY[name], tiny_classifier(name)
    layers = of_class(base, tiny.layer)
    model = method_of("adapter").attach(base, small)
    places = [plain_name(place) for place, module in model.named_modules() if isinstance(module, BottleneckLayer)]
    owners = [next(layer for layer in layers if place.startswith(f"{layer}.")) for place in places]
    assert owners == list(layers) and len(owners) == tiny.blocks
    assert not any(".attention." in place or ".attn." in place for place in places)


@every_family
def test_the_adapter_stands_between_the_feed_forward_block_and_the_sum(name, small):
    """y = LayerNorm(h + up(f(down(h))) + x); where the normalization stands before the block, y = x + h + up(f(down(h)))."""
    tiny, base = TINY[name], tiny_classifier(name)
    layers = list(of_class(base, tiny.layer).values())
    parts = [[layer.get_submodule(part) for part in tiny.feed_forward] for layer in layers]
    norms = [layer.get_submodule(tiny.norm or "mlp_norm") for layer in layers]
    model = method_of("adapter").attach(base, small).eval()
    shake(model)
    seen = {}

    def note(key, read):
        return lambda module, args, output: seen.setdefault(key, []).append(read(args, output))

    for i, (layer, (first, last), norm) in enumerate(zip(layers, parts, norms, strict=True)):
        takes_x = first if tiny.norm else norm
        takes_x.register_forward_hook(note((i, "x"), lambda args, output: args[0]))
        last.register_forward_hook(note((i, "h"), lambda args, output: output))
        layer.register_forward_hook(note((i, "y"), lambda args, output: output[0] if isinstance(output, tuple) else output))
    with torch.no_grad():
        model(**padded_batch(model))
        adapters = [module for module in model.modules() if isinstance(module, BottleneckLayer)]
        for i, adapter in enumerate(adapters):
            down, up = adapter.feedforward_adapter_down["default"], adapter.feedforward_adapter_up["default"]
            assert len(seen[i, "y"]) == LAYERS // tiny.blocks  # a shared layer runs several times
            for x, h, y in zip(seen[i, "x"], seen[i, "h"], seen[i, "y"], strict=True):
                z = nn.functional.gelu(h @ down.weight.T + down.bias) @ up.weight.T + up.bias
                assert z.abs().max() > 1e-3
                expected = norms[i](h + z + x) if tiny.norm else x + h + z
                torch.testing.assert_close(y, expected)


@every_family
@every_method
def test_the_head_is_all_that_the_encoder_is_not_and_mixout_is_on_all_of_it(name, method, small):
    base = tiny_classifier(name)
    body = base.base_model_prefix
    model = method_of(method).attach(base, small)
    assert apply_mixout(model, head_modules(model), 0.1) == TINY[name].head_layers
    mixed = [module for module in model.modules() if isinstance(module, MixoutLinear)]
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert all(id(parameter) in trained for layer in mixed for parameter in layer.parameters())
    model.train()(**padded_batch(model)).logits.square().sum().backward()
    assert all(layer.weight.grad.abs().max() > 0 for layer in mixed)  # not the frozen copy that nobody reads
    outside = [parameter for part, parameter in base.named_parameters() if parameter.requires_grad and not part.startswith(body)]
    head = [parameter for module in head_modules(model).values() for parameter in module.parameters()]
    assert sorted(map(id, outside)) == sorted(map(id, head))


@every_family
@every_method
def test_trainable_parameters_as_counted_by_hand(name, method, small):
    tiny = TINY[name]
    by_hand = {
        "full": tiny.body,
        "lora": tiny.blocks * RANK * tiny.projections,  # A (r, in) and B (out, r)
        "adapter": tiny.blocks * (2 * WIDTH * BOTTLENECK + BOTTLENECK + WIDTH),  # down, up, and their biases
    }
    counts = count_parameters(method_of(method).attach(tiny_classifier(name), small))
    assert (counts.trainable_body, counts.trainable_head) == (by_hand[method], tiny.head)
    assert counts.total == tiny.body + tiny.head + (0 if method == "full" else by_hand[method])


_RELOAD = """
import sys
from pathlib import Path
from safetensors.torch import load_file
from stages.methods.checkpoint import load_checkpoint
from tests.methods.tiny_models import padded_batch
for name, expected in load_file("logits.safetensors").items():
    model = load_checkpoint(Path(name))
    assert not model.training
    difference = (model(**padded_batch(model)).logits - expected).abs().max().item()
    print(name, difference)
"""


@pytest.mark.slow
def test_saved_and_loaded_in_a_new_process_every_method_gives_the_same_logits(project, small, tokenizer):
    logits = {}
    for name in TINY:
        folder = Path("base") / name
        tiny_classifier(name).base_model.save_pretrained(folder)
        for method in METHODS:
            model = method_of(method).attach(load_base_model(LABELS, 0, folder), small)
            accelerate(model)
            apply_mixout(model, head_modules(model), 0.1)
            shake(model)
            save_checkpoint(model, tokenizer, Path("models") / name / method)
            logits[f"models/{name}/{method}"] = model.eval()(**padded_batch(model)).logits.detach()
    save_file(logits, "logits.safetensors")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", _RELOAD], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    differences = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    assert differences == dict.fromkeys(logits, 0.0)


@every_family
def test_no_module_of_a_base_model_is_named_like_a_tuners(name):
    names = [place for place, _ in tiny_classifier(name).named_modules()]
    assert not any(prefix in place for place in names for prefix in (PREFIX, "lora_"))
