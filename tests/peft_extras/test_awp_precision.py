"""AWP in low precision and with a scaled loss: float32 norms, bits that come back, and gradients that overflow."""

import math

import pytest
import torch
from torch import nn

from peft_extras.awp import AdversarialWeightPerturbation


def snapshot(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def same_bits(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x.view(torch.uint8), y.view(torch.uint8)) for x, y in zip(a, b, strict=True))


def model_of(dtype: torch.dtype) -> nn.Sequential:
    """A frozen layer in `dtype` and a trained one in float32, as LoRA over a base in low precision has them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(30, 16), nn.Linear(16, 16), nn.Linear(16, 3))
    model[:2].to(dtype).requires_grad_(False)
    return model


def loss_of(model: nn.Sequential, scale: float = 1.0) -> torch.Tensor:
    ids, labels = torch.tensor([1, 5, 5, 29, 7]), torch.tensor([0, 2, 1, 1, 0])
    return scale * nn.functional.cross_entropy(model[2](model[1](model[0](ids)).float()), labels)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("settings", [{}, {"embeddings": "rows"}, {"box": 0.01, "step": 0.01}], ids=str)
def test_every_precision_moves_and_comes_back_bit_for_bit(dtype, settings):
    model = model_of(dtype)
    with torch.no_grad():
        model[1].weight[0, 0] = -0.0  # the sign of a zero is a bit too
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, 0.01, target="all", **settings)
    with awp.perturbed(lambda: loss_of(model)):
        for weight, original in zip(model.parameters(), before, strict=True):
            assert weight.dtype == original.dtype and torch.isfinite(weight).all()
            assert torch.equal(weight, original) == (weight.dim() == 1)
    assert same_bits(snapshot(model), before)
    assert awp.log.unmoved == 0
    if not settings:
        assert awp.log.ratio_mean == pytest.approx(0.01, rel=0.02 if dtype == torch.bfloat16 else 2e-3)


def test_norms_of_float16_do_not_overflow():
    """1,000 elements of 3,000 have the norm 94,868, above float16's largest number 65,504."""
    weight = nn.Parameter(torch.full((1000, 1), 3000.0, dtype=torch.float16))
    awp = AdversarialWeightPerturbation(nn.ParameterList([weight]), 0.1)
    with awp.perturbed(lambda: weight.sum()):
        torch.testing.assert_close(weight.detach(), torch.full_like(weight, 3300))
    assert awp.log.ratio_mean == pytest.approx(0.1, rel=1e-3)


def test_bfloat16_rounds_the_move_and_the_log_says_so():
    """1 + 0.001 is 1 in bfloat16, whose next number is 1.0078."""
    weight = nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    awp = AdversarialWeightPerturbation(nn.ParameterList([weight]), 0.001)
    with awp.perturbed(lambda: weight.float().sum()):
        assert torch.equal(weight, torch.ones_like(weight))
    assert (awp.log.steps, awp.log.unmoved, awp.log.ratio_mean) == (1, 1, 0.0)


@pytest.mark.parametrize("scale", [2.0**16, 2.0**-10])
def test_a_scaled_loss_gives_the_same_move(scale):
    moved = []
    for factor in (1.0, scale):
        model = model_of(torch.float32)
        with AdversarialWeightPerturbation(model, 0.05, target="all").perturbed(lambda m=model, s=factor: loss_of(m, s)):
            moved.append(snapshot(model))
    for plain, scaled in zip(*moved, strict=True):
        torch.testing.assert_close(scaled, plain, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_a_gradient_that_is_not_finite_moves_nothing_and_is_counted(bad):
    model = model_of(torch.bfloat16)
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, 0.05, target="all")
    with awp.perturbed(lambda: loss_of(model) + bad * model[1].weight[0, 0].float()):
        assert same_bits(snapshot(model), before)
    assert (awp.log.skipped, awp.log.steps, awp.log.tensors, awp.log.ratio_mean) == (1, 0, 0, 0.0)
    with awp.perturbed(lambda: loss_of(model)):  # the next one is a usual one
        assert not same_bits(snapshot(model), before)
    assert (awp.log.skipped, awp.log.steps) == (1, 1) and same_bits(snapshot(model), before)


def test_one_gradient_that_overflows_keeps_the_other_weights_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, 0.05)
    with awp.perturbed(lambda: model(torch.ones(1, 3)).sum() + math.inf * model[1].weight.sum()):
        assert same_bits(snapshot(model), before)


def test_a_move_out_of_all_proportion_is_told_by_the_log_and_writes_no_nan():
    weight = nn.Parameter(torch.full((2, 2), 1e30))
    awp = AdversarialWeightPerturbation(nn.ParameterList([weight]), 1e30)
    with awp.perturbed(lambda: weight.sum()):
        assert torch.equal(weight, torch.full((2, 2), 1e30))
    assert not math.isfinite(awp.log.ratio_sum) and awp.log.skipped == 0


def test_quantized_weights_stay_with_a_warning():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    codes = nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)  # the shape of a packed 4-bit weight
    stored_as_float = nn.Parameter(torch.zeros(8, 1, dtype=torch.bfloat16), requires_grad=False)
    stored_as_float.quant_state = object()
    model.register_parameter("codes", codes)
    model.register_parameter("stored_as_float", stored_as_float)
    with pytest.warns(UserWarning, match="awp: 2 of 4 weight tensors are quantized and stay where they are"):
        awp = AdversarialWeightPerturbation(model, 0.1, target="all")
    assert [id(weight) for weight in awp.weights] == [id(model[0].weight), id(model[1].weight)]


def test_the_gradient_under_autocast_is_that_of_float32_within_rounding():
    moved = []
    for enabled in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
        x = torch.randn(6, 8)

        def loss(model=model, x=x, enabled=enabled) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                return model(x).float().square().sum()

        before = snapshot(model)
        with AdversarialWeightPerturbation(model, 0.05).perturbed(loss):
            moved.append([a - b for a, b in zip(snapshot(model), before, strict=True)])
    for full, low in zip(*moved, strict=True):
        assert (full - low).norm() <= 0.03 * full.norm()


def test_inside_autocast_the_loss_is_that_of_the_moved_weights_and_afterwards_of_the_old_ones():
    """Autocast keeps the weights that it has rounded until it ends: with those of w, nothing would have moved."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 2))
    x = torch.randn(6, 8)

    def loss() -> torch.Tensor:
        return model(x).float().square().sum()

    def own_autocast() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return loss()

    awp = AdversarialWeightPerturbation(model, 0.1)
    with awp.perturbed(own_autocast):
        expected = own_autocast()
    with torch.autocast("cpu", torch.bfloat16):
        with awp.perturbed(loss) as clean:
            assert torch.equal(loss(), expected) and loss() > clean
        assert torch.equal(loss(), clean)
