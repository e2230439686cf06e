"""AWP's formula, that it leaves no trace, and its window."""

import weakref

import pytest
import torch
from torch import nn

from peft_extras.awp import AdversarialWeightPerturbation
from stages.training.trainer import in_window


@pytest.fixture
def problem():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    x, y = torch.randn(6, 5), torch.randint(0, 3, (6,))
    return model, lambda: nn.functional.cross_entropy(model(x), y)


def snapshot(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_each_weight_moves_along_its_gradient_by_epsilon_of_its_norm(problem):
    model, compute_loss = problem
    awp = AdversarialWeightPerturbation(model, epsilon=0.03)
    torch.manual_seed(7)
    gradients = torch.autograd.grad(compute_loss(), awp.weights)
    before = [weight.detach().clone() for weight in awp.weights]
    torch.manual_seed(7)
    with awp.perturbed(compute_loss):
        for w, g, perturbed in zip(before, gradients, awp.weights, strict=True):
            torch.testing.assert_close(perturbed - w, 0.03 * w.norm() * g / g.norm(), atol=1e-6, rtol=1e-4)
            torch.testing.assert_close((perturbed - w).norm(), 0.03 * w.norm())


def test_only_trainable_tensors_of_two_dimensions_move(problem):
    model, compute_loss = problem
    model[0].weight.requires_grad_(False)
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, epsilon=0.1)
    with awp.perturbed(compute_loss):
        moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert moved == [False, False, True, False]


def test_weights_return_bit_for_bit_also_after_an_error(problem):
    model, compute_loss = problem
    before = snapshot(model)
    awp = AdversarialWeightPerturbation(model, epsilon=0.37)
    with awp.perturbed(compute_loss):
        pass
    with pytest.raises(RuntimeError, match="inside"), awp.perturbed(compute_loss):
        raise RuntimeError("inside")
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_accumulated_gradients_are_not_touched(problem):
    model, compute_loss = problem
    compute_loss().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    with AdversarialWeightPerturbation(model, epsilon=0.1).perturbed(compute_loss):
        pass
    assert all(torch.equal(a, p.grad) for a, p in zip(before, model.parameters(), strict=True))


def test_both_passes_see_the_same_dropout_masks_and_the_loss_rises(problem):
    model, compute_loss = problem
    awp = AdversarialWeightPerturbation(model, epsilon=0.01)
    torch.manual_seed(11)
    expected = compute_loss().item()
    torch.manual_seed(11)
    with awp.perturbed(compute_loss) as clean:
        state = torch.get_rng_state()
        perturbed = compute_loss().item()
    assert clean.item() == expected
    assert perturbed > expected
    torch.manual_seed(11)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_zero_weight_stays_and_is_counted():
    """LoRA's start: B = 0 cannot move by a share of its norm, and the gradient of A is 0."""
    torch.manual_seed(0)
    a, b = nn.Parameter(torch.randn(2, 5)), nn.Parameter(torch.zeros(4, 2))
    x = torch.randn(3, 5)
    awp = AdversarialWeightPerturbation(nn.ParameterList([a, b]), epsilon=0.01)
    with awp.perturbed(lambda: (x @ a.T @ b.T).square().sum() + (x @ a.T @ b.T).sum()):
        assert torch.isfinite(a).all() and torch.equal(b, torch.zeros(4, 2))
    assert (awp.log.steps, awp.log.tensors, awp.log.unmoved, awp.log.ratio_mean) == (1, 2, 2, 0.0)
    assert awp.log.unmoved_share == 1.0


def test_the_log_holds_the_realised_ratio(problem):
    model, compute_loss = problem
    awp = AdversarialWeightPerturbation(model, epsilon=0.02)
    for _ in range(3):
        with awp.perturbed(compute_loss):
            pass
    assert (awp.log.steps, awp.log.tensors, awp.log.unmoved) == (3, 6, 0)
    assert awp.log.ratio_mean == pytest.approx(0.02, rel=1e-4)
    assert awp.log.ratio_max == pytest.approx(0.02, rel=1e-4)


def test_a_weight_the_loss_does_not_use_stays():
    used, unused = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    with AdversarialWeightPerturbation(nn.ParameterList([used, unused]), epsilon=0.1).perturbed(lambda: used.sum()):
        assert not torch.equal(used, torch.ones(2, 2)) and torch.equal(unused, torch.ones(2, 2))


def test_an_embedding_moved_by_its_rows_moves_as_a_whole_tensor_does():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(40, 4), nn.Linear(4, 2))
    ids = torch.tensor([[3, 7, 3], [39, 0, 7]])

    def compute_loss():
        return model(ids).square().sum()

    before = snapshot(model)
    rows = AdversarialWeightPerturbation(model, epsilon=0.1)
    whole = AdversarialWeightPerturbation(model, epsilon=0.1)
    whole.embeddings = set()
    with whole.perturbed(compute_loss):
        expected = snapshot(model)
    with rows.perturbed(compute_loss):
        for w, perturbed, reference in zip(before, model.parameters(), expected, strict=True):
            torch.testing.assert_close(perturbed - w, reference - w, atol=1e-6, rtol=1e-4)
        moved = (model[0].weight != before[0]).any(dim=1).nonzero().squeeze(1)
        assert moved.tolist() == [0, 3, 7, 39]
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert rows.log.ratio_max == pytest.approx(whole.log.ratio_max, rel=1e-4)


def test_the_first_pass_leaves_nothing_in_memory(problem):
    """What was computed for parameters that AWP does not move must not stay through the second pass."""
    model, _ = problem
    kept = weakref.WeakSet()

    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor.detach()  # an output that knew its node would keep it alive
            kept.add(self)

    def compute_loss():
        with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
            return model[2](model[0](torch.ones(2, 5)).tanh()).square().sum()

    model[0].weight.requires_grad_(False)  # its bias still trains, and nobody asks for that part of the graph
    awp = AdversarialWeightPerturbation(model, epsilon=0.1)
    loss = compute_loss()
    torch.autograd.grad(loss, awp.weights)
    assert len(kept) > 0  # what would stay
    del loss
    with awp.perturbed(compute_loss):
        assert len(kept) == 0


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="epsilon must be greater than 0, received 0"):
        AdversarialWeightPerturbation(nn.Linear(2, 2), 0)
    with pytest.raises(ValueError, match="no trainable weight tensor"):
        AdversarialWeightPerturbation(nn.LayerNorm(2), 0.1)


@pytest.mark.parametrize(
    ("steps", "start", "end", "active"),
    [(6, 0.5, 1.0, [3, 4, 5]), (5, 0.5, 1.0, [3, 4]), (4, 0.0, 0.5, [0, 1]), (4, 0.0, 1.0, [0, 1, 2, 3]), (1, 0.5, 1.0, [])],
)
def test_the_window_is_a_part_of_each_epochs_steps(steps, start, end, active):
    assert [step for step in range(steps) if in_window(step, steps, start, end)] == active
