"""Mixout's formula, expectation, gradient and the keys it leaves in a checkpoint."""

import pytest
import torch
from torch import nn

from peft_extras.mixout import MixoutLinear, apply_mixout


def moved_layer(p: float) -> MixoutLinear:
    """A layer that training has moved away from its anchor."""
    torch.manual_seed(0)
    layer = MixoutLinear(nn.Linear(12, 3), p)
    with torch.no_grad():
        layer.weight.add_(torch.randn_like(layer.weight))
    return layer


def test_each_column_is_w_or_u_rescaled():
    layer, p = moved_layer(0.3), 0.3
    w, u = layer.weight, layer.anchor
    kept, dropped = (w - p * u) / (1 - p), (u - p * u) / (1 - p)
    for _ in range(20):
        mixed = layer.mixed_weight()
        for column in range(12):
            is_kept = torch.allclose(mixed[:, column], kept[:, column])
            assert is_kept or torch.allclose(mixed[:, column], dropped[:, column])


def test_the_expectation_is_w():
    layer = moved_layer(0.3)
    mean = torch.stack([layer.mixed_weight().detach() for _ in range(20_000)]).mean(0)
    # a column's deviation from its mean is |w - u| sqrt(p / (1 - p) / n)
    tolerance = 5 * (layer.weight - layer.anchor).abs().max().item() * (0.3 / 0.7 / 20_000) ** 0.5
    torch.testing.assert_close(mean, layer.weight.detach(), atol=tolerance, rtol=0)


def test_the_gradient_is_the_mask_over_one_minus_p():
    layer = moved_layer(0.3)
    torch.manual_seed(5)
    layer(torch.ones(1, 12)).sum().backward()
    torch.manual_seed(5)
    keep = torch.empty(12).bernoulli_(0.7)
    torch.testing.assert_close(layer.weight.grad, (keep / 0.7).expand(3, 12))
    assert 0 < keep.sum() < 12


def test_with_anchor_zero_it_is_dropout_on_the_input():
    layer = moved_layer(0.5)
    layer.anchor.zero_()
    x = torch.randn(4, 12)
    torch.manual_seed(5)
    mixed = layer(x)
    torch.manual_seed(5)
    keep = torch.empty(12).bernoulli_(0.5)
    torch.testing.assert_close(mixed, (x * keep / 0.5) @ layer.weight.T + layer.bias)


def test_evaluation_and_p_zero_use_w_itself():
    x = torch.randn(4, 12)
    for layer in (moved_layer(0.3).eval(), moved_layer(0.0)):
        assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


def test_at_the_start_nothing_is_changed():
    layer = MixoutLinear(nn.Linear(12, 3), 0.3)
    torch.testing.assert_close(layer.mixed_weight(), layer.weight)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_probability_outside_its_range_is_refused(p):
    with pytest.raises(ValueError, match="p must be in"):
        MixoutLinear(nn.Linear(2, 2), p)


def test_every_linear_layer_below_the_named_modules_is_replaced():
    model = nn.ModuleDict({"body": nn.Linear(4, 4), "head": nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))})
    parameters = dict(model.named_parameters())
    keys = list(model.state_dict())
    assert apply_mixout(model, ["head"], 0.1) == 2
    assert [type(m) for m in model["head"]] == [MixoutLinear, nn.Tanh, MixoutLinear]
    assert type(model["body"]) is nn.Linear
    assert list(model.state_dict()) == keys
    assert all(parameters[name] is parameter for name, parameter in model.named_parameters())


def test_finding_no_layer_is_an_error():
    with pytest.raises(ValueError, match="no linear layer"):
        apply_mixout(nn.ModuleDict({"head": nn.Tanh()}), ["head"], 0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_rounds_the_mixed_weight_once(dtype):
    """In low precision w - p u and the division would each round: the result would be off by more than half a unit."""
    layer = moved_layer(0.3)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.to(dtype))
        layer.anchor.copy_(layer.anchor.to(dtype))
    torch.manual_seed(5)
    exact = layer.mixed_weight().detach()
    low = layer.to(dtype)
    torch.manual_seed(5)
    assert torch.equal(low.mixed_weight(), exact.to(dtype))
    assert low(torch.ones(2, 12, dtype=dtype)).dtype == dtype


def test_autocast_mixes_in_float32_and_casts_for_the_product_only():
    layer, x = moved_layer(0.3), torch.randn(4, 12)
    torch.manual_seed(5)
    mixed = layer.mixed_weight()
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = layer.mixed_weight()
        torch.manual_seed(5)
        output = layer(x)
    assert under_autocast.dtype == torch.float32 and torch.equal(under_autocast, mixed)
    assert output.dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(output, nn.functional.linear(x, mixed, layer.bias))


def test_the_gradient_under_autocast_is_float32():
    layer = moved_layer(0.3)
    torch.manual_seed(5)
    with torch.autocast("cpu", torch.bfloat16):
        loss = layer(torch.ones(1, 12)).float().sum()
    loss.backward()
    columns = layer.weight.grad[0]  # M / (1 - p), rounded to bfloat16 on its way through the product
    assert layer.weight.grad.dtype == torch.float32
    assert all(min(abs(value), abs(value - 1 / 0.7)) < 0.01 for value in columns.tolist())
