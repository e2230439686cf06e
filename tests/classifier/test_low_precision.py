"""Weights in a lower precision: what they compute, in every family, and what memory they take."""

import copy

import pytest
import torch
from torch import nn

from stages.classifier.faster.apply import accelerate, accelerate_training
from stages.classifier.faster.attention import SHORT
from stages.classifier.faster.dropout import cpu_dropout
from stages.classifier.low_precision import (
    KINDS,
    LowLinear,
    autocast,
    cast_for_inference,
    cast_frozen,
    check_precision,
    frozen_dtype_of,
    round_frozen,
)
from stages.memory.recompute import recompute_activations
from stages.methods.registry import method_of
from stages.project.errors import UserError
from tests.classifier.precision import CPU, LABELS, every_family, every_peft, gradients, on_the_cpu  # noqa: F401, a fixture
from tests.methods.tiny_models import TINY, padded_batch, shake, tiny_classifier


@pytest.fixture
def make(params):
    """A function that returns a tiny model of a family as a method trains it, none of its weights at a special value."""

    def attached(name: str, method: str, acceleration: bool = True) -> nn.Module:
        model = method_of(method).attach(tiny_classifier(name), params)
        if acceleration:
            accelerate(model)
        shake(model)
        return model.eval()

    return attached


def assert_equal(one, other) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=0)
    assert one[1].keys() == other[1].keys() and len(one[1]) > 2
    for place, gradient in one[1].items():
        torch.testing.assert_close(gradient, other[1][place], rtol=1e-6, atol=1e-8, msg=place)
        assert gradient.dtype == torch.float32


@every_family
@every_peft
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("acceleration", [True, False])
def test_frozen_weights_compute_as_if_they_had_been_rounded_once(make, name, method, precision, acceleration):
    """With float32 activations and under autocast, for short texts and long ones: the same logits and gradients."""
    rounded = make(name, method, acceleration)
    kept = copy.deepcopy(rounded)
    assert cast_frozen(kept, torch.bfloat16) > 8
    round_frozen(rounded, torch.bfloat16)
    assert frozen_dtype_of(kept) == "bf16" and frozen_dtype_of(rounded) == "same"
    for length in (9, SHORT + 4):
        assert_equal(gradients(kept, precision, length), gradients(rounded, precision, length))


@every_family
@every_peft
def test_frozen_matrices_and_embeddings_take_half_the_memory_and_nothing_else_changes(make, name, method):
    model = make(name, method)
    kept = copy.deepcopy(model)
    cast_frozen(kept, torch.bfloat16)
    halved = 0
    for (place, before), after in zip(model.named_parameters(), kept.parameters(), strict=True):
        whole = before.requires_grad or before.dim() < 2 or "rel_embeddings" in place
        assert after.nbytes == before.nbytes // (1 if whole else 2), place
        assert after.requires_grad == before.requires_grad
        halved += 0 if whole else before.nbytes
    frozen = sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad)
    assert halved > 0.8 * frozen  # of these narrow layers; of a real encoder 99.9 percent


@pytest.mark.parametrize("name", [name for name in TINY if name not in ("albert", "mpnet")])
@every_peft
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradient_checkpointing_and_dropout_work_beside_them(make, name, method, precision):
    model = make(name, method)
    cast_frozen(model, torch.bfloat16)
    accelerate_training(model.train())
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(gradients(model, precision))
        recompute_activations(model)
    assert_equal(*found)


@every_family
@pytest.mark.parametrize("method", ["full", "lora", "adapter"])
def test_weights_rounded_once_for_inference_give_autocasts_logits(make, name, method):
    model = make(name, method)
    batch = padded_batch(model)
    with torch.inference_mode(), autocast("bf16", CPU):
        expected = model(**batch).logits
        assert cast_for_inference(model, "bf16") > 8
        assert torch.equal(model(**batch).logits, expected)
    exact = make(name, method)(**batch).logits
    assert 0 < (expected.float() - exact).norm() < 8 * 2.0**-8 * exact.norm()


def test_only_the_weight_is_kept_between_the_passes():
    """Without autocast autograd would keep a float32 copy of every frozen layer, and nothing would be saved."""
    layer = nn.Linear(64, 32).requires_grad_(False)
    cast_frozen(layer, torch.bfloat16)
    assert type(layer) is LowLinear
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        layer(torch.randn(3, 64, requires_grad=True)).sum().backward()
    assert [tensor.data_ptr() for tensor in kept] == [layer.weight.data_ptr()]


def test_a_frozen_weight_has_a_gradient_if_it_is_asked_for():
    """AWP with target `all` moves frozen weights, too."""
    layer = nn.Linear(6, 4).requires_grad_(False)
    cast_frozen(layer, torch.bfloat16)
    layer.weight.requires_grad_(True)
    x = torch.randn(3, 6)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), [layer.weight])
    expected = 2 * layer(x).detach().T @ x
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.float(), expected, rtol=2.0**-8, atol=1e-3)


def test_same_changes_nothing(make):
    model = make("bert", "lora")
    assert cast_frozen(model, torch.float32) == 0
    assert not any(isinstance(module, tuple(KINDS.values())) for module in model.modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dropout_in_low_precision_has_the_exact_scale(dtype):
    """The mask times 1 / (1 - p) is rounded once, in the product: bfloat16's nearest number to 1 / 0.9 is 0.16 percent less."""
    torch.manual_seed(0)
    x = torch.full((200_000,), 0.9, dtype=dtype)
    assert cpu_dropout(x, 0.1).float().mean() == pytest.approx(x[0].item(), rel=2e-3)
    kept = cpu_dropout(x, 0.1)
    assert kept[kept != 0].unique().tolist() == [torch.tensor(x[0].item() / 0.9).to(dtype).item()]


@pytest.mark.parametrize(
    ("precision", "device", "supported", "message"),
    [
        ("fp16", "cpu", True, "x.precision: fp16 needs a GPU"),
        ("bf16", "cuda", False, "x.precision: received bf16, which Old GPU does not have .* use fp16 or fp32"),
        ("fp16", "cuda", False, None),
        ("bf16", "cuda", True, None),
        ("bf16", "cpu", True, None),
        ("fp32", "cpu", True, None),
    ],
)
def test_a_precision_that_the_device_lacks_is_refused(monkeypatch, precision, device, supported, message):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    if message is None:
        check_precision(precision, "x.precision", torch.device(device))
    else:
        with pytest.raises(UserError, match=message):
            check_precision(precision, "x.precision", torch.device(device))
