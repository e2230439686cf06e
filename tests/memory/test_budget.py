"""The micro-batch that a budget allows, and how a batch is shared among processes."""

import pytest
import torch

from stages.memory.batching import Batching, divisors, share_batch
from stages.memory.budget import RESERVE_MIB, choose_batching, largest_that_fits
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, PredictedMemory, predict_training_memory
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError

LABELS = ["negative", "positive"]


def taking(mib_per_text: float):
    """A prediction of so many MiB for each text, and the sizes that were asked for."""
    asked = []

    def predict(size: int) -> PredictedMemory:
        asked.append(size)
        return PredictedMemory(0, 0, 0, round(size * mib_per_text * MIB), 0, 0)

    return predict, asked


@pytest.mark.parametrize("batch_size", [1, 12, 32])
@pytest.mark.parametrize("mib", [1, 104, 105, 3328, 3329])
def test_the_largest_size_that_fits_with_the_reserve_is_found(batch_size, mib):
    predict, asked = taking(mib)
    size, memory = largest_that_fits(predict, divisors(batch_size), budget_gib=4)
    fitting = [s for s in divisors(batch_size) if s * mib + RESERVE_MIB <= 4096]
    assert size == (max(fitting) if fitting else None)
    assert memory.peak == (size or 1) * mib * MIB
    assert len(asked) <= 5  # a binary search


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]


def test_a_batch_is_shared_without_remainder_or_not_at_all():
    assert share_batch(32, 4, processes=2) == Batching(micro_batch_size=4, accumulation_steps=4)
    with pytest.raises(UserError, match=r"multiple of micro_batch_size x processes = 16 x 3, received 32"):
        share_batch(32, 16, processes=3)
    with pytest.raises(UserError, match=r"= 32 x 2, received 32"):
        share_batch(32, 32, processes=2)


def test_a_given_size_is_taken_as_it_is_and_shared_with_other_processes(params, tiny_bert, monkeypatch):
    assert choose_batching(params, tiny_bert) == Batching(16, 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert choose_batching(params, tiny_bert) == Batching(16, 1)


@pytest.mark.slow
def test_auto_follows_the_prediction(project, with_params):
    """The budget is set to what one size needs: it is taken; a byte less, and the next smaller one is."""
    automatic = {"batch_size": 8, "micro_batch_size": "auto"}
    model = build(method_of("full"), with_params(), LABELS)
    inputs = RandomInputs(model.config.vocab_size, 2, 13, torch.device("cpu"))
    needed = predict_training_memory(model, inputs, (4,), 32, accumulate=True, awp=True)[4].peak / MIB + RESERVE_MIB
    for missing, expected in ((0, Batching(4, 2)), (1 / MIB, Batching(2, 4))):
        train = {**automatic, "memory_budget_gib": (needed - missing) / 1024}
        assert choose_batching(with_params(data={"max_length": 32}, train=train), model) == expected
    generous = with_params(data={"max_length": 32}, train=automatic)
    assert choose_batching(generous, model) == Batching(8, 1)


@pytest.mark.slow
def test_of_several_processes_each_holds_its_gradients_twice(project, with_params, monkeypatch):
    """The budget that is just enough for one process with the same share of the batch is not enough."""
    model = build(method_of("full"), with_params(), LABELS)
    inputs = RandomInputs(model.config.vocab_size, 2, 13, torch.device("cpu"))
    needed = predict_training_memory(model, inputs, (4,), 32, accumulate=False, awp=True)[4].peak / MIB + RESERVE_MIB
    gradients = sum(weight.nbytes for weight in model.parameters()) / MIB
    monkeypatch.setenv("WORLD_SIZE", "2")
    for budget, size in ((needed + gradients, 4), (needed + gradients - 1 / MIB, 2)):
        train = {"batch_size": 8, "micro_batch_size": "auto", "memory_budget_gib": budget / 1024}
        assert choose_batching(with_params(data={"max_length": 32}, train=train), model).micro_batch_size == size


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_model_that_is_not_on_the_gpu_yet_is_predicted(project, with_params):
    model = build(method_of("lora"), with_params(), LABELS)
    choose_batching(with_params(data={"max_length": 32}, train={"micro_batch_size": "auto"}), model)


@pytest.mark.slow
def test_too_small_a_budget_says_what_would_be_needed(project, with_params):
    model = build(method_of("lora"), with_params(), LABELS)
    train = {"batch_size": 8, "micro_batch_size": "auto", "memory_budget_gib": 0.5}
    with pytest.raises(UserError, match=r"memory_budget_gib: training on one text of 32 tokens takes .* received 0.5 GiB; raise"):
        choose_batching(with_params(data={"max_length": 32}, train=train), model)
