"""LoRA's options: where it sits, how its update is scaled and starts, DoRA's magnitudes; that all of it merges and comes back."""

import math
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import BertTokenizerFast

from peft_extras.awp import AdversarialWeightPerturbation
from stages.classifier.counting import count_parameters
from stages.classifier.faster.apply import accelerate
from stages.classifier.loading import load_base_model
from stages.classifier.saving import save_checkpoint
from stages.memory.inputs import RandomInputs
from stages.memory.predict import predict_training_memory
from stages.methods import lora
from stages.methods.checkpoint import load_checkpoint
from stages.methods.registry import method_of
from stages.planning.models import unloaded_model
from tests.methods.tiny_models import CLASSES, INNER, TINY, WIDTH, of_class, padded_batch, shake, tiny_classifier, tiny_config
from tests.refusals import refused

LABELS = ["negative", "positive"]
RANK, ALPHA = 4, 6.0
INITS = ("default", "gaussian", "orthogonal", "pissa", "olora")
OPTIONS = [
    {"target": "all", "use_rslora": True},
    {"target": "feed_forward", "init": "gaussian"},
    {"init": "orthogonal"},
    {"init": "pissa", "use_rslora": True},
    {"init": "olora", "target": "all"},
    {"use_dora": True},
    {"use_dora": True, "init": "pissa", "target": "all"},
    {"use_dora": True, "init": "olora", "use_rslora": True},
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
every_family = pytest.mark.parametrize("name", TINY)


@pytest.fixture
def with_lora(with_params):
    def make(**options):
        return with_params(peft={"rank": RANK, "alpha": ALPHA, **options})

    return make


def layers_of(model: nn.Module) -> dict[str, LoraLayer]:
    found = {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    return {name.removeprefix("base_model.model."): module for name, module in found.items()}


def linear_in(model: nn.Module, name: str) -> tuple[set[str], set[str]]:
    """Names of the linear layers of a tiny model's attention and of the rest of its layers, from the library's classes."""
    in_layers = {
        f"{place}.{inner}"
        for place, layer in of_class(model, TINY[name].layer).items()
        for inner, module in layer.named_modules()
        if isinstance(module, nn.Linear)
    }
    attention = {place for place in in_layers if any(place.startswith(f"{a}.") for a in of_class(model, TINY[name].attention))}
    return attention, in_layers - attention


@every_family
@pytest.mark.parametrize("target", ["attention", "feed_forward", "all"])
def test_the_target_names_exactly_these_linear_layers(name, target, with_lora):
    base = tiny_classifier(name)
    attention, feed_forward = linear_in(base, name)
    assert len(feed_forward) == 2 * TINY[name].blocks
    expected = {"attention": attention, "feed_forward": feed_forward, "all": attention | feed_forward}[target]
    model = lora.attach(base, with_lora(target=target))
    assert set(layers_of(model)) == expected
    inner = {"modernbert": (WIDTH + 2 * INNER) + (INNER + WIDTH)}.get(name, 2 * (WIDTH + INNER))  # Wi is twice as high: it gates
    per_block = {"attention": TINY[name].projections, "feed_forward": inner, "all": TINY[name].projections + inner}[target]
    assert count_parameters(model).trainable_body == TINY[name].blocks * RANK * per_block


@pytest.mark.parametrize(("use_rslora", "factor"), [(False, ALPHA / RANK), (True, ALPHA / math.sqrt(RANK))])
def test_the_updates_factor(use_rslora, factor, with_lora):
    model = lora.attach(tiny_classifier("bert"), with_lora(use_rslora=use_rslora))
    shake(model)
    layer = next(iter(layers_of(model).values()))
    x = torch.randn(2, WIDTH)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.testing.assert_close(layer.eval()(x), layer.base_layer(x) + factor * x @ a.T @ b.T)


@pytest.mark.parametrize("use_dora", [False, True])
@pytest.mark.parametrize("init", INITS)
def test_whatever_the_start_training_starts_at_the_base_model(init, use_dora, with_lora):
    base = tiny_classifier("bert").eval()
    batch = padded_batch(base)
    expected = base(**batch).logits.detach()
    before = {name: weight.clone() for name, weight in base.named_parameters() if name.endswith("query.weight")}
    model = lora.attach(base, with_lora(init=init, use_dora=use_dora)).eval()
    torch.testing.assert_close(model(**batch).logits, expected, atol=2e-5, rtol=1e-4)
    for place, layer in layers_of(model).items():
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        product = ALPHA / RANK * b @ a
        if place.endswith("query"):
            torch.testing.assert_close(layer.base_layer.weight + product, before[f"{place}.weight"], atol=1e-5, rtol=1e-4)
        if init in ("pissa", "olora"):
            assert product.norm() > 0.1 * layer.base_layer.weight.norm()
        else:
            assert product.abs().max() < 1e-5
        assert (b.abs().max() == 0) == (init in ("default", "gaussian"))


def test_pissa_takes_the_largest_singular_values_and_olora_the_first_columns(with_lora):
    weight = tiny_classifier("bert").bert.encoder.layer[0].attention.self.query.weight.detach()
    u, s, vt = torch.linalg.svd(weight)
    q, r = torch.linalg.qr(weight)
    expected = {"pissa": u[:, :RANK] * s[:RANK] @ vt[:RANK], "olora": ALPHA / RANK * q[:, :RANK] @ r[:RANK]}
    for init, product in expected.items():
        layer = next(iter(layers_of(lora.attach(tiny_classifier("bert"), with_lora(init=init))).values()))
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        torch.testing.assert_close(ALPHA / RANK * b @ a, product, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("init", INITS)
def test_the_start_is_the_same_bytes_twice(init, with_lora):
    def start():
        torch.manual_seed(5)
        return lora.attach(tiny_classifier("bert"), with_lora(init=init)).state_dict()

    one, other = start(), start()
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@every_option
def test_saved_and_loaded_it_gives_the_same_logits_and_merged_nearly(options, project, with_lora):
    params = with_lora(**options)
    folder = Path("models/lora")
    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]))
    model = lora.attach(load_base_model(LABELS, 0), params)
    shake(model)
    save_checkpoint(model, BertTokenizerFast("vocab.txt"), folder)
    batch = {
        "input_ids": torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    }
    expected = model.eval()(**batch).logits
    assert torch.equal(load_checkpoint(folder, acceleration=False)(**batch).logits, expected)
    merged = load_checkpoint(folder, merge=True, acceleration=False)
    assert not any("lora" in name for name, _ in merged.named_modules())
    torch.testing.assert_close(merged(**batch).logits, expected, atol=1e-5, rtol=1e-4)


def test_doras_magnitudes_are_the_rows_norms_and_awp_leaves_them(with_lora):
    plain = lora.attach(tiny_classifier("bert"), with_lora())
    base = tiny_classifier("bert")
    norms = [base.get_submodule(place).weight.norm(dim=1) for place in layers_of(plain)]
    model = lora.attach(base, with_lora(use_dora=True)).train()
    magnitudes = [layer.lora_magnitude_vector["default"].weight for layer in layers_of(model).values()]
    assert all(magnitude.requires_grad and magnitude.shape == (WIDTH,) for magnitude in magnitudes)
    for magnitude, norm in zip(magnitudes, norms, strict=True):
        torch.testing.assert_close(magnitude.detach(), norm)
    extra = count_parameters(model).trainable_body - count_parameters(plain).trainable_body
    assert extra == len(magnitudes) * WIDTH
    shake(model)
    before = [magnitude.clone() for magnitude in magnitudes]
    factors = [layer.lora_B["default"].weight for layer in layers_of(model).values()]
    unmoved = [factor.clone() for factor in factors]
    labels = torch.tensor([0, 1, 1, 0])

    def loss():
        return nn.functional.cross_entropy(model(**padded_batch(model)).logits, labels)

    with AdversarialWeightPerturbation(model, 0.01).perturbed(loss):
        assert all(torch.equal(one, other) for one, other in zip(magnitudes, before, strict=True))
        assert not any(torch.equal(one, other) for one, other in zip(factors, unmoved, strict=True))


@every_option
def test_the_memory_plan_knows_it(options, with_lora):
    """Without weights, as the plan builds it: the same bytes as of a real model, and as counted by hand."""
    params = with_lora(**options)
    inputs = RandomInputs(vocabulary=50, classes=CLASSES, seed=0, device=torch.device("cpu"))
    planned = unloaded_model(tiny_config("bert"), CLASSES, method_of("lora"), params)
    real = lora.attach(tiny_classifier("bert"), params)
    accelerate(real)
    counts = count_parameters(planned)
    assert counts == count_parameters(real)
    memory, same = (predict_training_memory(model, inputs, [2], 8, accumulate=False, awp=True)[2] for model in (planned, real))
    assert memory == same
    tensors = sum(parameter.requires_grad for parameter in planned.parameters())
    assert memory.optimizer_state == 2 * 4 * counts.trainable + 4 * tensors  # two moments, and a counter for each tensor
    assert memory.weights == sum(tensor.nbytes for tensor in (*real.parameters(), *real.buffers()))


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_a_rank_above_that_of_the_weights_is_refused(init, with_params):
    message = refused(lora.attach, tiny_classifier("bert"), with_params(peft={"rank": WIDTH + 1, "init": init}))
    assert message.startswith(f"peft.rank: {init}") and f"rank {WIDTH}, received {WIDTH + 1}" in message


def test_other_starts_take_any_rank(with_params):
    assert lora.attach(tiny_classifier("bert"), with_params(peft={"rank": WIDTH + 2, "init": "orthogonal"}))
