"""The rows of a memory plan: models without weights have the prediction of loaded ones, and what fits is what is predicted."""

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, BertConfig

from stages.classifier.config import read_config
from stages.memory.budget import RESERVE_MIB
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, predict_training_memory
from stages.memory.recompute import recompute_activations
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.planning.models import unloaded_model
from stages.planning.table import plan
from stages.project.paths import BASE_MODEL
from stages.project.schema import METHODS

pytestmark = pytest.mark.slow

LABELS = ["negative", "positive"]
INPUTS = RandomInputs(50, 2, 13, torch.device("cpu"))


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_weights_has_the_prediction_of_the_loaded_one(project, params, method):
    loaded = build(method_of(method), params, LABELS)
    bare = unloaded_model(read_config(BASE_MODEL), 2, method_of(method), params)
    for awp in (False, True):
        arguments = (INPUTS, (2, 4), 8, True, awp)
        assert predict_training_memory(bare, *arguments) == predict_training_memory(loaded, *arguments)


def encoder() -> BertConfig:
    """Large enough for differences of a tenth of a MiB, the precision of the table."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 256}
    return BertConfig(vocab_size=50, max_position_embeddings=64, **sizes)


def bare_encoder(method: str, params) -> nn.Module:
    return unloaded_model(encoder(), 2, method_of(method), params)


def test_a_row_for_each_case_in_order(with_params):
    params = with_params(data={"max_length": 32}, train={"batch_size": 8, "micro_batch_size": 4})
    rows = plan("small", encoder(), 2, "lora", params)
    cases = [(row.awp, row.gradient_checkpointing) for row in rows]
    assert cases == [(False, False), (False, True), (True, False), (True, True)]
    same = {(row.model, row.method, row.length, row.micro_batch_size, row.accumulation_steps, row.peft) for row in rows}
    assert same == {("small", "lora", 32, 8, 1, "rank 8")}
    assert rows[2].awp_buffer_mib >= rows[0].awp_buffer_mib == 0
    assert rows[1].activations_mib < rows[0].activations_mib


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_row_is_the_prediction_for_that_case_alone(with_params, checkpointing):
    """The cases of one method share a predictor; none may see what another left."""
    params = with_params(data={"max_length": 32}, train={"batch_size": 8, "micro_batch_size": 4})
    rows = {(row.awp, row.gradient_checkpointing): row for row in plan("small", encoder(), 2, "full", params)}
    model = bare_encoder("full", params)
    if checkpointing:
        recompute_activations(model)
    for awp in (False, True):
        alone = predict_training_memory(model, INPUTS, (8,), 32, accumulate=False, awp=awp)[8]
        assert rows[awp, checkpointing].peak_mib == round(alone.peak / MIB, 1)
        assert rows[awp, checkpointing].activations_mib == round(alone.activations / MIB, 1)


def test_the_largest_micro_batch_within_the_budget_is_taken_and_zero_where_none_is(with_params):
    model = bare_encoder("adapter", with_params())
    four = predict_training_memory(model, INPUTS, (4,), 32, accumulate=True)[4].peak / MIB
    for budget, size, steps in ((four, 4, 2), (four - 1 / MIB, 2, 4), (0.0, 0, 0)):
        train = {"batch_size": 8, "micro_batch_size": 4, "memory_budget_gib": (budget + RESERVE_MIB) / 1024}
        row = plan("small", encoder(), 2, "adapter", with_params(data={"max_length": 32}, train=train))[0]
        assert (row.micro_batch_size, row.accumulation_steps) == (size, steps)


def test_texts_are_no_longer_than_a_model_accepts(with_params):
    params = with_params(data={"max_length": 1024}, train={"batch_size": 2, "micro_batch_size": "auto"})
    assert {row.length for row in plan("small", encoder(), 2, "lora", params)} == {64}  # positions


def test_checkpointing_is_left_out_where_a_family_does_not_support_it(with_params):
    config = AlbertConfig(vocab_size=50, embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=24)
    params = with_params(data={"max_length": 8}, train={"batch_size": 2, "micro_batch_size": 2})
    assert [(row.awp, row.gradient_checkpointing) for row in plan("ALBERT", config, 2, "lora", params)] == [
        (False, False),
        (True, False),
    ]
