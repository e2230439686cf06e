"""Predicted memory on a tiny BERT: what can be counted by hand must come out to the byte."""

import gc

import pytest
import torch
from transformers import BertConfig, BertModel

from stages.memory.inputs import RandomInputs
from stages.memory.predict import MemoryPredictor, memory_metrics, predict_training_memory
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.schema import METHODS

pytestmark = pytest.mark.slow

LABELS = ["negative", "positive"]
INPUTS = RandomInputs(vocabulary=50, classes=2, seed=13, device=torch.device("cpu"))


def stored_bytes(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def trainable(model) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


@pytest.fixture(scope="module")
def models(tmp_path_factory, params):
    """The three methods on one tiny encoder, with dropout, whose masks are activations too."""
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        BertModel(config).save_pretrained("models/base")
        return {name: build(method_of(name), params, LABELS) for name in METHODS}


@pytest.fixture(scope="module")
def predictions(models):
    return {name: predict_training_memory(model, INPUTS, (2, 4), 8, accumulate=True) for name, model in models.items()}


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_the_parameters_and_buffers(models, predictions, method):
    model = models[method]
    assert predictions[method][4].weights == stored_bytes([*model.parameters(), *model.buffers()])


@pytest.mark.parametrize("method", METHODS)
def test_optimizer_state_is_two_moments_and_a_counter_for_each_trained_tensor(models, predictions, method):
    trained = trainable(models[method])
    assert predictions[method][4].optimizer_state == 2 * stored_bytes(trained) + 4 * len(trained)


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_ids_mask_and_labels(predictions, method):
    assert predictions[method][4].inputs == 8 * (4 * 8 + 4 * 8 + 4)


@pytest.mark.parametrize("method", METHODS)
def test_the_prediction_leaves_the_model_as_it_was(models, method):
    model = models[method]
    before = {name: (parameter.requires_grad, parameter.clone()) for name, parameter in model.named_parameters()}
    predict_training_memory(model, INPUTS, (2,), 8, accumulate=True)
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    for name, (requires_grad, value) in before.items():
        assert after[name].requires_grad == requires_grad
        assert torch.equal(after[name], value)
        assert after[name].grad is None


def test_peft_saves_gradients_optimizer_state_and_some_activations(predictions):
    full = predictions["full"][4]
    for method in ("lora", "adapter"):
        memory = predictions[method][4]
        assert memory.gradients < full.gradients
        assert memory.optimizer_state < full.optimizer_state
        assert memory.weights > full.weights  # the base model and what was added to it


def test_accumulated_gradients_are_part_of_the_peak(models):
    trained = stored_bytes(trainable(models["full"]))
    with_gradients = predict_training_memory(models["full"], INPUTS, (4,), 8, accumulate=True)[4]
    without = predict_training_memory(models["full"], INPUTS, (4,), 8, accumulate=False)[4]
    assert with_gradients.gradients >= trained
    assert without.gradients < trained
    assert with_gradients.peak > without.peak


def test_activations_grow_with_the_micro_batch(models):
    memory = predict_training_memory(models["lora"], INPUTS, (8, 2, 4, 8), 16, accumulate=True)
    assert list(memory) == [2, 4, 8]
    assert memory[8].activations == pytest.approx(2 * memory[4].activations, rel=0.02)
    assert memory[4].activations == pytest.approx(2 * memory[2].activations, rel=0.02)


def test_the_peak_is_affine_in_the_micro_batch(models):
    """To the byte: every text adds the same; three points lie on one line, with and without gradients of earlier ones."""
    for model in models.values():
        for accumulate in (True, False):
            memory = predict_training_memory(model, INPUTS, (4, 8, 16), 16, accumulate)
            assert 2 * (memory[8].peak - memory[4].peak) == memory[16].peak - memory[8].peak


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", METHODS)
def test_the_pass_of_a_prime_number_of_texts_tells_what_a_pass_of_each_size_shows(models, method, precision, monkeypatch):
    """To the byte and part by part, also where from some size on all rows of an embedding move."""
    cases = [(size, accumulate, awp) for size in (2, 16) for accumulate in (False, True) for awp in (False, True)]
    with MemoryPredictor(models[method], INPUTS, 8, precision) as predictor:
        told = [predictor.predict(*case) for case in cases]
        passes = len(predictor._timelines)
    monkeypatch.setattr(MemoryPredictor, "_probe", lambda self, size, awp: None)
    with MemoryPredictor(models[method], INPUTS, 8, precision) as predictor:
        assert [predictor.predict(*case) for case in cases] == told
        assert passes < len(predictor._timelines)


def test_autocast_adds_copies_of_trained_weights_and_halves_what_products_keep(models):
    full = models["full"]
    plain, low = (predict_training_memory(full, INPUTS, (16,), 8, True, precision=name)[16] for name in ("fp32", "bf16"))
    assert (low.weights, low.optimizer_state) == (plain.weights, plain.optimizer_state)
    assert low.activations < plain.activations


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_predicted_the_same_alone_and_after_others(models, method):
    """Otherwise cases could not share a predictor, whose first step is the dearest part."""
    cases = [(8, True, False), (4, False, True), (2, True, True), (8, False, False), (8, True, False)]
    with MemoryPredictor(models[method], INPUTS, 16) as predictor:
        together = [predictor.predict(*case) for case in cases]
    for (size, accumulate, awp), memory in zip(cases, together, strict=True):
        assert memory == predict_training_memory(models[method], INPUTS, (size,), 16, accumulate, awp)[size]


def test_the_garbage_collector_is_as_before(models):
    before = gc.get_freeze_count()
    with MemoryPredictor(models["lora"], INPUTS, 8):
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == before


def test_it_comes_out_the_same_twice(models, predictions):
    for name, model in models.items():
        assert predict_training_memory(model, INPUTS, (2, 4), 8, accumulate=True) == predictions[name]


def test_metrics_add_up(predictions):
    metrics = memory_metrics(predictions["lora"], micro_batch_size=2)
    parts = ("weights_mib", "gradients_mib", "optimizer_state_mib", "activations_mib", "inputs_mib")
    assert metrics["peak_training_memory_mib"] == pytest.approx(sum(metrics[part] for part in parts), abs=0.005)
    assert metrics["peak_mib_by_micro_batch"]["micro_batch_2"] == metrics["peak_training_memory_mib"]
    assert metrics["optimizer_state_bytes"] == predictions["lora"][2].optimizer_state


def test_awp_on_all_weights_holds_copies_of_the_frozen_ones_too(models, with_params):
    """Of an embedding the rows that the batch can have read; none of the head's copy that PEFT keeps and nothing reads."""
    model, tokens = models["lora"], 4 * 8
    everything = with_params(awp={"target": "all"}).awp
    trained, every = (predict_training_memory(model, INPUTS, (4,), 8, True, awp)[4] for awp in (True, everything))
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    frozen = [
        parameter[:tokens] if id(parameter) in embeddings else parameter
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad and parameter.dim() > 1 and "original_module" not in name
    ]
    assert len(frozen) > 10
    assert every.awp_buffer - trained.awp_buffer == stored_bytes(frozen)
    assert every.peak > trained.peak and every.weights == trained.weights
