"""The timed step is a training step: it trains what the method trains, with AdamW on the accumulated gradient."""

import pytest
import torch

from stages.benchmark.training_step import TrainingStep, time_training_steps
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.step import micro_batch_loss
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.schema import METHODS

LABELS = ["negative", "positive"]
INPUTS = RandomInputs(vocabulary=50, classes=2, seed=13, device=torch.device("cpu"))


@pytest.mark.parametrize("awp", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_moves_the_trained_parameters_and_no_others(project, params, method, awp):
    model = build(method_of(method), params, LABELS)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))  # LoRA's A has no gradient while B is zero
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    step = TrainingStep(model, params.train.max_grad_norm, params.awp)
    step.take([(INPUTS.batch(4, 8), INPUTS.labels(4))] * 2, awp)
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moved <= trained
    assert all("key.bias" in name for name in trained - moved)  # softmax does not see it: its gradient is zero
    assert step.awp.log.steps == (2 if awp else 0)


def test_accumulated_micro_batches_have_the_gradient_of_one_batch(tiny_bert, params):
    step = TrainingStep(tiny_bert, max_grad_norm=1e9, awp=params.awp)
    batch, labels = INPUTS.batch(4, 8), INPUTS.labels(4)
    micro_batch_loss(tiny_bert, batch, labels).backward()
    expected = tiny_bert.classifier.weight.grad.clone()
    step.optimizer.zero_grad()
    seen = []
    step.optimizer.register_step_pre_hook(lambda *_: seen.append(tiny_bert.classifier.weight.grad.clone()))
    step.take([(batch, labels)] * 3, awp=False)
    torch.testing.assert_close(seen[0], expected)
    assert tiny_bert.classifier.weight.grad is None


def test_every_method_is_timed_plain_and_with_awp(project, params):
    steps = {name: TrainingStep(build(method_of(name), params, LABELS), 1.0, params.awp) for name in METHODS}
    times = time_training_steps(steps, INPUTS, Batching(2, 2), 8, repeats=2)
    assert {name: sorted(kinds) for name, kinds in times.items()} == {name: ["awp", "plain"] for name in METHODS}
    assert all(value > 0 for kinds in times.values() for value in kinds.values())
    assert all(step.awp.log.steps == 3 * 2 for step in steps.values())  # warm-up and 2 rounds, 2 micro-batches each
