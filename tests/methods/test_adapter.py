"""The three placements of the adapter, in every family: where it sits, what it computes, that it comes back from disk."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import BertTokenizerFast

from peft_extras.bottleneck import BottleneckConfig, BottleneckLayer
from stages.classifier.counting import count_parameters
from stages.classifier.faster.apply import accelerate
from stages.classifier.loading import load_base_model
from stages.classifier.saving import save_checkpoint
from stages.memory.inputs import RandomInputs
from stages.memory.predict import predict_training_memory
from stages.methods import adapter
from stages.methods.checkpoint import load_checkpoint
from stages.methods.registry import method_of
from stages.planning.models import unloaded_model
from tests.methods.tiny_models import CLASSES, TINY, WIDTH, of_class, padded_batch, shake, tiny_classifier, tiny_config
from tests.refusals import refused

LABELS = ["negative", "positive"]
BOTTLENECK, SCALING = 5, 2.5
PLACES = ("pfeiffer", "houlsby", "parallel")
ONE = 2 * WIDTH * BOTTLENECK + BOTTLENECK + WIDTH  # parameters of one adapter
every_family = pytest.mark.parametrize("name", TINY)
every_place = pytest.mark.parametrize("place", PLACES)


@pytest.fixture
def at(with_params):
    def make(place):
        return with_params(peft={"adapter": place, "bottleneck": BOTTLENECK, "scaling": SCALING})

    return make


def adapters_of(model: nn.Module) -> dict[str, BottleneckLayer]:
    found = {name: module for name, module in model.named_modules() if isinstance(module, BottleneckLayer)}
    return {name.removeprefix("base_model.model."): module for name, module in found.items()}


def bottleneck(layer: BottleneckLayer, z: torch.Tensor, f) -> torch.Tensor:
    down, up = layer.feedforward_adapter_down["default"], layer.feedforward_adapter_up["default"]
    return f(z @ down.weight.T + down.bias) @ up.weight.T + up.bias


@every_family
@every_place
def test_the_number_of_adapters_and_their_parameters(name, place, at):
    model = adapter.attach(tiny_classifier(name), at(place))
    per_block = 2 if place == "houlsby" else 1
    assert len(adapters_of(model)) == per_block * TINY[name].blocks
    assert count_parameters(model).trainable_body == per_block * TINY[name].blocks * ONE


@every_family
def test_houlsbys_other_adapter_stands_between_attention_and_its_sum(name, at):
    """y = LayerNorm(h + up(f(down(h))) + x), with h what attention's output projection returns, without dropout."""
    tiny, base = TINY[name], tiny_classifier(name)
    attentions = of_class(base, tiny.attention)
    projections = {place: list(linear_layers(module).values())[-1] for place, module in attentions.items()}
    norms = {place: norm_after(base, name, place) for place in attentions}
    model = adapter.attach(base, at("houlsby")).eval()
    shake(model)
    own = {place: layer for place, layer in adapters_of(model).items() if any(place.startswith(f"{a}.") for a in attentions)}
    assert len(own) == tiny.blocks
    seen: dict[tuple[str, str], torch.Tensor] = {}
    for place, layer in own.items():
        attention = next(a for a in attentions if place.startswith(f"{a}."))
        projections[attention].register_forward_hook(lambda m, a, out, place=place: seen.__setitem__((place, "h"), out))
        layer.register_forward_hook(lambda m, a, out, place=place: seen.__setitem__((place, "y"), out))
        if norms[attention] is not None:
            norms[attention].register_forward_pre_hook(lambda m, args, place=place: seen.__setitem__((place, "sum"), args[0]))
        else:
            of_class(base, tiny.layer)[attention.rpartition(".")[0]].register_forward_pre_hook(
                lambda m, args, place=place: seen.__setitem__((place, "x"), args[0])
            )
    with torch.no_grad():
        model(**padded_batch(model))
        for place, layer in own.items():
            h = seen[place, "h"]
            update = bottleneck(layer, h, nn.functional.gelu)
            assert update.abs().max() > 1e-3
            torch.testing.assert_close(seen[place, "y"], h + update)
            if (place, "sum") in seen:  # normalized after the sum: the sum holds the adapter's output, and the residual
                assert (seen[place, "sum"] - seen[place, "y"]).abs().max() > 1e-3


def linear_layers(module: nn.Module) -> dict[str, nn.Module]:
    """The linear layers of a module by name; the output projection comes last in all of the library's attentions."""
    return {name: child for name, child in module.named_modules() if isinstance(child, nn.Linear)}


def norm_after(base: nn.Module, name: str, attention: str) -> nn.Module | None:
    """The normalization of the residual sum after one attention; None where it stands before the attention."""
    if name == "modernbert":
        return None
    if name == "distilbert":
        return base.get_submodule(attention.rpartition(".")[0]).sa_layer_norm
    return next(child for place, child in base.get_submodule(attention).named_modules() if place.endswith("LayerNorm"))


@every_family
def test_the_parallel_adapter_reads_the_blocks_input_and_adds_to_its_output(name, at):
    """y = LayerNorm(h + s up(relu(down(x))) + x), with x what the feed-forward block's first layer reads."""
    tiny, base = TINY[name], tiny_classifier(name)
    layers = list(of_class(base, tiny.layer).values())
    parts = [[layer.get_submodule(part) for part in tiny.feed_forward] for layer in layers]
    model = adapter.attach(base, at("parallel")).eval()
    shake(model, 0.3)
    seen: dict[tuple[int, str], list[torch.Tensor]] = {}
    for i, (first, last) in enumerate(parts):
        first.register_forward_pre_hook(lambda m, args, i=i: seen.setdefault((i, "x"), []).append(args[0]))
        last.register_forward_hook(lambda m, a, out, i=i: seen.setdefault((i, "h"), []).append(out))
    found = list(adapters_of(model).values())
    for i, layer in enumerate(found):
        layer.register_forward_hook(lambda m, a, out, i=i: seen.setdefault((i, "y"), []).append(out))
    with torch.no_grad():
        model(**padded_batch(model))
        for i, layer in enumerate(found):
            for x, h, y in zip(seen[i, "x"], seen[i, "h"], seen[i, "y"], strict=True):
                update = SCALING * bottleneck(layer, x, torch.relu)
                assert update.abs().max() > 1e-3
                torch.testing.assert_close(y, h + update)
    assert all(layer.block_input is None for layer in found)  # nothing is kept after the pass


def test_the_parallel_adapter_starts_as_the_base_model_and_as_lora_does(at):
    base = tiny_classifier("bert").eval()
    batch = padded_batch(base)
    expected = base(**batch).logits.detach()
    model = adapter.attach(base, at("parallel")).eval()
    assert torch.equal(model(**batch).logits, expected)
    for layer in adapters_of(model).values():
        down, up = layer.feedforward_adapter_down["default"], layer.feedforward_adapter_up["default"]
        assert up.weight.abs().max() == up.bias.abs().max() == down.bias.abs().max() == 0
        assert 0.5 * WIDTH**-0.5 < down.weight.abs().max() <= WIDTH**-0.5  # uniform on +- 1 / sqrt(C)


@every_family
@every_place
def test_accelerated_it_computes_the_same(name, place, at):
    plain = adapter.attach(tiny_classifier(name), at(place)).eval()
    shake(plain)
    fast = copy.deepcopy(plain)
    accelerate(fast)
    batch = padded_batch(plain)
    torch.testing.assert_close(fast(**batch).logits, plain(**batch).logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["bert", "distilbert", "deberta-v3", "modernbert"])
@every_place
def test_gradient_checkpointing_changes_no_gradient(name, place, at):
    model = adapter.attach(tiny_classifier(name), at(place)).train()
    shake(model)

    def gradients():
        model.zero_grad()
        nn.functional.cross_entropy(model(**padded_batch(model)).logits, torch.tensor([0, 1, 1, 0])).backward()
        return {key: weight.grad.clone() for key, weight in model.named_parameters() if weight.grad is not None}

    kept = gradients()
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    again = gradients()
    assert kept.keys() == again.keys() and len(kept) > 4 * TINY[name].blocks
    for key, gradient in kept.items():
        torch.testing.assert_close(again[key], gradient, atol=1e-7, rtol=1e-5, msg=key)
    assert all(layer.block_input is None for layer in adapters_of(model).values())


def test_a_copy_of_a_parallel_adapter_reads_the_inputs_of_the_copy(at):
    model = adapter.attach(tiny_classifier("bert"), at("parallel")).eval()
    shake(model)
    copied = copy.deepcopy(model)
    batch = padded_batch(model)
    expected = model(**batch).logits
    for layer in adapters_of(model).values():
        del layer.feedforward_adapter_up["default"], layer.feedforward_adapter_down["default"]
    assert torch.equal(copied(**batch).logits, expected)


@every_place
def test_without_adapters_it_is_the_base_model_and_unloaded_nothing_is_left(place, at):
    base = tiny_classifier("bert").eval()
    batch = padded_batch(base)
    expected = base.bert(**batch).pooler_output.detach()
    model = adapter.attach(base, at(place)).eval()
    shake(model)
    with model.disable_adapter():
        assert torch.equal(model.base_model.model.bert(**batch).pooler_output, expected)
    plain = model.unload()
    assert torch.equal(plain.bert(**batch).pooler_output, expected)
    assert not any(module._forward_pre_hooks or isinstance(module, BottleneckLayer) for module in plain.modules())


@pytest.fixture
def saved(project, at):
    """A function that saves a trained-looking model at a place, and returns its folder and it."""

    def save(place):
        Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))
        model = adapter.attach(load_base_model(LABELS, 0), at(place)).eval()
        shake(model)
        save_checkpoint(model, BertTokenizerFast("vocab.txt"), Path("models/adapter"))
        return Path("models/adapter"), model

    return save


@every_place
def test_saved_and_loaded_it_gives_the_same_logits_and_does_not_merge(place, saved, batch):
    folder, model = saved(place)
    assert torch.equal(load_checkpoint(folder, acceleration=False)(**batch).logits, model(**batch).logits)
    used = "relu" if place == "parallel" else "gelu"
    with pytest.raises(NotImplementedError, match=f"cannot be merged: with {used} between"):
        model.merge_and_unload()


def test_a_checkpoint_from_before_the_other_placements_still_loads(saved, batch):
    folder, model = saved("pfeiffer")
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text())
    for key in ("parallel_inputs", "scaling", "non_linearity", "init"):
        del content[key]
    path.write_text(json.dumps(content))
    assert torch.equal(load_checkpoint(folder, acceleration=False)(**batch).logits, model(**batch).logits)


def test_a_placement_that_the_weights_do_not_fit_is_refused(saved):
    folder, _ = saved("houlsby")
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text()) | {"target_modules": r".*\.layer\.\d+\.output\.dropout"}
    path.write_text(json.dumps(content))
    assert "do not match its configuration" in refused(load_checkpoint, folder)


@every_place
def test_the_memory_plan_knows_it(place, at):
    params = at(place)
    inputs = RandomInputs(vocabulary=50, classes=CLASSES, seed=0, device=torch.device("cpu"))
    planned = unloaded_model(tiny_config("bert"), CLASSES, method_of("adapter"), params)
    real = adapter.attach(tiny_classifier("bert"), params)
    accelerate(real)
    memory, same = (predict_training_memory(model, inputs, [4], 16, accumulate=False, awp=True)[4] for model in (planned, real))
    assert memory == same
    counts = count_parameters(planned)
    tensors = sum(parameter.requires_grad for parameter in planned.parameters())
    assert memory.optimizer_state == 2 * 4 * counts.trainable + 4 * tensors
    assert all(layer.block_input is None for layer in adapters_of(planned).values())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scaling": 0.0}, "scaling must be greater than 0, received 0.0"),
        ({"non_linearity": "tanh"}, "non_linearity must be gelu or relu, received 'tanh'"),
        ({"init": "zero"}, "init must be normal or lora, received 'zero'"),
    ],
)
def test_a_wrong_configuration_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        BottleneckConfig(target_modules=".*dropout", hidden_size=WIDTH, **fields)


@pytest.mark.parametrize("inputs", ["nowhere", r".*\.layer\.0\..*dense"])
def test_inputs_that_do_not_name_one_module_beside_each_target_are_refused(inputs, at, monkeypatch):
    placement = {"target_modules": r".*\.layer\.\d+\.output\.dropout", "parallel_inputs": inputs}
    monkeypatch.setattr(adapter, "_placement", lambda family, peft: placement)
    with pytest.raises(ValueError, match="parallel_inputs must name one module beside"):
        adapter.attach(tiny_classifier("bert"), at("parallel"))
