"""AWP's variants: frozen weights too, embeddings row by row or not at all, and a box around each element."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from peft_extras.awp import AdversarialWeightPerturbation, PerturbationLog, gradient_cosine
from stages.methods.method import build
from stages.methods.registry import method_of

IDS = torch.tensor([[3, 7, 3], [39, 0, 7]])


def small_text_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(40, 4), nn.Linear(4, 2))


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def moves(model: nn.Module, compute_loss, **settings) -> tuple[dict[str, torch.Tensor], PerturbationLog]:
    """What `AdversarialWeightPerturbation(model, **settings)` adds to each parameter that it moves, and its log."""
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, **settings)
    with awp.perturbed(compute_loss):
        moved = snapshot(model)
    assert all(torch.equal(value, before[name]) for name, value in snapshot(model).items())
    return {name: moved[name] - w for name, w in before.items() if not torch.equal(moved[name], w)}, awp.log


def test_each_row_of_an_embedding_moves_by_its_own_norms():
    model = small_text_model()

    def loss() -> torch.Tensor:
        return model(IDS).square().sum()

    w, g = model[0].weight.detach().clone(), torch.autograd.grad(loss(), model[0].weight)[0]
    v, log = moves(model, loss, epsilon=0.1, embeddings="rows")
    touched = [0, 3, 7, 39]
    for row in touched:
        torch.testing.assert_close(v["0.weight"][row], 0.1 * w[row].norm() * g[row] / g[row].norm(), atol=1e-6, rtol=1e-4)
    others = [row for row in range(40) if row not in touched]
    assert (v["0.weight"][others] == 0).all()
    assert (v["0.weight"] * g).sum() > 0  # uphill
    assert log.ratio_max == pytest.approx(0.1, rel=1e-4)
    # the linear layer is no embedding: the whole tensor's norms, as without `rows`
    torch.testing.assert_close(v["1.weight"], moves(model, loss, epsilon=0.1)[0]["1.weight"])


def test_a_row_of_zeros_stays():
    model = small_text_model()
    with torch.no_grad():
        model[0].weight[7] = 0
    v, _ = moves(model, lambda: model(IDS).sum(), epsilon=0.1, embeddings="rows")
    assert (v["0.weight"][7] == 0).all() and (v["0.weight"][3] != 0).any()


def test_excluded_embeddings_stay_and_the_rest_moves_as_before():
    model = small_text_model()

    def loss() -> torch.Tensor:
        return model(IDS).square().sum()

    v, log = moves(model, loss, epsilon=0.1, embeddings="exclude")
    assert set(v) == {"1.weight"} and log.tensors == 1
    torch.testing.assert_close(v["1.weight"], moves(model, loss, epsilon=0.1)[0]["1.weight"], atol=0, rtol=0)


def test_a_box_cuts_each_element_and_the_log_tells_what_came_out():
    torch.manual_seed(0)
    model = nn.Linear(30, 20, bias=False)
    x = torch.randn(5, 30)

    def loss() -> torch.Tensor:
        return model(x).square().sum()

    w, g = model.weight.detach().clone(), torch.autograd.grad(loss(), model.weight)[0]
    free = 0.02 * w.norm() * g / g.norm()
    v, log = moves(model, loss, epsilon=0.5, box=0.01, step=0.02)
    cut = torch.minimum(torch.maximum(free, -0.01 * w.abs()), 0.01 * w.abs())
    torch.testing.assert_close(v["weight"], cut, atol=1e-7, rtol=1e-3)
    assert 0 < (free.abs() > 0.01 * w.abs()).float().mean() < 1  # some are cut, some are not
    assert log.ratio_max < 0.01 and log.ratio_max == pytest.approx(float(cut.norm() / w.norm()), rel=1e-3)


def test_a_box_wider_than_the_step_is_the_step_alone():
    model = small_text_model()
    boxed, _ = moves(model, lambda: model(IDS).sum(), epsilon=1.0, box=1e6, step=0.03)
    plain, _ = moves(model, lambda: model(IDS).sum(), epsilon=0.03)
    assert all(torch.equal(boxed[name], plain[name]) for name in plain)


@pytest.fixture
def same_function(project, params, batch):
    """Full fine-tuning, LoRA with B = 0 and an adapter with zero `up`: one function of the input, of the same base weights."""
    models = {}
    for name in ("full", "lora", "adapter"):
        torch.manual_seed(3)  # of the head
        models[name] = build(method_of(name), params, ["negative", "positive"]).eval()
    state = models["full"].state_dict()
    for name in ("lora", "adapter"):
        for place, parameter in models[name].named_parameters():
            plain = base_name(place)
            with torch.no_grad():
                if plain in state:
                    parameter.copy_(state[plain])
                elif "feedforward_adapter_up" in place or "lora_B" in place:
                    parameter.zero_()
    return models


def base_name(place: str) -> str:
    """The name in the plain model of a parameter that PEFT wrapped."""
    plain = place.removeprefix("base_model.model.")
    return plain.replace("base_layer.", "").replace("modules_to_save.default.", "")


def test_with_all_the_three_methods_meet_the_same_move(same_function, batch):
    labels = torch.tensor([0, 1, 1, 0])
    found = {}
    for name, model in same_function.items():

        def loss(model=model) -> torch.Tensor:
            return nn.functional.cross_entropy(model(**batch).logits, labels)

        found[name], _ = moves(model, loss, epsilon=0.05, target="all")
        frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
        assert all(parameter.grad is None for parameter in frozen)
        assert bool(frozen) == (name != "full")  # they are frozen again
    full = found["full"]
    assert len(full) > 10
    for name in ("lora", "adapter"):
        shared = {base_name(place): v for place, v in found[name].items() if base_name(place) in full}
        assert set(shared) == set(full)
        for place, v in full.items():
            torch.testing.assert_close(shared[place], v, atol=1e-7, rtol=1e-4)
    assert not any("lora_" in place for place in found["lora"])  # A has no gradient, B no norm
    assert not any("feedforward_adapter_up" in place for place in found["adapter"])


def test_trainable_moves_no_frozen_weight(same_function, batch):
    model = same_function["adapter"]
    v, _ = moves(model, lambda: model(**batch).logits.square().sum(), epsilon=0.05)
    assert v and all(model.get_parameter(name).requires_grad for name in v)


def test_the_copy_of_the_head_that_nothing_reads_is_left_out(tiny_bert):
    config = LoraConfig(r=2, target_modules=["query"], modules_to_save=["classifier"])
    model = get_peft_model(tiny_bert, config)
    awp = AdversarialWeightPerturbation(model, 0.1, target="all")
    held = {id(weight) for weight in awp.weights}
    names = {name for name, parameter in model.named_parameters() if id(parameter) in held}
    assert any("modules_to_save" in name for name in names)
    assert not any("original_module" in name for name in names)


def test_frozen_weights_are_frozen_again_after_an_error():
    model = small_text_model()
    model[0].weight.requires_grad_(False)
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, 0.1, target="all")

    def fails() -> torch.Tensor:
        assert model[0].weight.requires_grad
        raise RuntimeError("in the first pass")

    with pytest.raises(RuntimeError, match="first pass"), awp.perturbed(fails):
        pass
    assert not model[0].weight.requires_grad

    def second_pass() -> None:
        assert not model[0].weight.requires_grad and not torch.equal(model[0].weight, before["0.weight"])
        model(IDS).sum().backward()
        raise RuntimeError("in the second pass")

    with pytest.raises(RuntimeError, match="second pass"), awp.perturbed(lambda: model(IDS).sum()):
        second_pass()
    assert model[0].weight.grad is None and model[1].weight.grad is not None
    assert all(torch.equal(value, before[name]) for name, value in snapshot(model).items())


def test_the_cosine_of_a_quadratic_is_known():
    """L = w^T H w / 2 has g(w) = H w, and g(w + v) = H (w + v)."""
    torch.manual_seed(0)
    w = nn.Parameter(torch.randn(6, 1))
    h = torch.diag(torch.tensor([1.0, 2, 4, 8, 16, 32]))
    awp = AdversarialWeightPerturbation(nn.ParameterList([w]), 0.8)

    def loss() -> torch.Tensor:
        return (w.T @ h @ w).squeeze() / 2

    g = (h @ w).detach()
    there = h @ (w.detach() + 0.8 * w.detach().norm() * g / g.norm())
    expected = float((g * there).sum() / (g.norm() * there.norm()))
    assert expected < 0.999
    assert gradient_cosine(nn.ParameterList([w]), awp, loss) == pytest.approx(expected, rel=1e-5)


def test_the_cosine_leaves_no_trace_and_sees_the_same_dropout():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 3))
    x = torch.randn(6, 5)

    def loss() -> torch.Tensor:
        return model(x).square().sum()

    loss().backward()
    awp = AdversarialWeightPerturbation(model, 1e-6)
    before, gradients, state = snapshot(model), [p.grad.clone() for p in model.parameters()], torch.get_rng_state()
    assert gradient_cosine(model, awp, loss) == pytest.approx(1, abs=1e-4)  # other masks would give another gradient
    assert all(torch.equal(value, before[name]) for name, value in snapshot(model).items())
    assert all(torch.equal(a, p.grad) for a, p in zip(gradients, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert awp.log == PerturbationLog()


def test_the_cosine_of_nothing_is_no_number():
    w = nn.Parameter(torch.ones(2, 2))
    assert math.isnan(
        gradient_cosine(nn.ParameterList([w]), AdversarialWeightPerturbation(nn.ParameterList([w]), 1), lambda: (0 * w).sum())
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"box": 0}, "box must be greater than 0, received 0"),
        ({"step": -1.0}, r"step must be greater than 0, received -1\.0"),
        ({"target": "frozen"}, "target must be one of trainable, all, received 'frozen'"),
        ({"embeddings": "none"}, "embeddings must be one of tensor, rows, exclude, received 'none'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AdversarialWeightPerturbation(nn.Linear(2, 2), 0.1, **settings)


def test_a_model_of_embeddings_alone_cannot_leave_them_out():
    with pytest.raises(ValueError, match="no trainable weight tensor with more than one dimension besides its embeddings"):
        AdversarialWeightPerturbation(nn.Embedding(3, 2), 0.1, embeddings="exclude")
