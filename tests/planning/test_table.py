"""The rows of a memory plan: models without weights have the prediction of loaded ones, and what fits is what is predicted."""

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, BertConfig

from stages.classifier.config import read_config
from stages.classifier.four_bit import packed_bytes
from stages.memory.budget import RESERVE_MIB
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, predict_training_memory
from stages.memory.recompute import recompute_activations
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.planning import table
from stages.planning.models import unloaded_model
from stages.planning.table import own_precision, plan, precisions
from stages.project.paths import BASE_MODEL
from stages.project.schema import METHODS
from tests.four_bit import needs_bitsandbytes

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
    cases = [(row.precision, row.frozen_dtype, row.awp, row.gradient_checkpointing) for row in rows]
    own = [("fp32", "same", awp, recompute) for awp in (False, True) for recompute in (False, True)]
    low = [("bf16", frozen, False, recompute) for frozen in ("same", "bf16") for recompute in (False, True)]
    assert cases == own + low
    same = {(row.model, row.method, row.length, row.micro_batch_size, row.accumulation_steps, row.peft) for row in rows}
    assert same == {("small", "lora", 32, 8, 1, "rank 8")}
    assert rows[2].awp_buffer_mib >= rows[0].awp_buffer_mib == 0
    assert rows[1].activations_mib < rows[0].activations_mib


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_row_is_the_prediction_for_that_case_alone(with_params, checkpointing):
    """The cases of one method share a predictor; none may see what another left."""
    params = with_params(data={"max_length": 32}, train={"batch_size": 8, "micro_batch_size": 4})
    planned = [row for row in plan("small", encoder(), 2, "full", params) if row.precision == "fp32"]
    rows = {(row.awp, row.gradient_checkpointing): row for row in planned}
    model = bare_encoder("full", params)
    if checkpointing:
        recompute_activations(model)
    for awp in (False, True):
        alone = predict_training_memory(model, INPUTS, (8,), 32, accumulate=False, awp=awp)[8]
        assert rows[awp, checkpointing].peak_mib == round(alone.peak / MIB, 1)
        assert rows[awp, checkpointing].activations_mib == round(alone.activations / MIB, 1)


def test_the_largest_micro_batch_within_the_budget_is_taken_and_zero_where_none_is(with_params, monkeypatch):
    monkeypatch.setattr(table, "precisions", lambda *_: [("fp32", "same")])  # the rows of the others are not looked at
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
    rows = plan("ALBERT", config, 2, "lora", params)
    assert {row.gradient_checkpointing for row in rows} == {False}
    assert [row.awp for row in rows if row.precision == "fp32"] == [False, True]


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({}, {"full": 2, "lora": 3}),
        ({"precision": "bf16", "frozen_dtype": "bf16"}, {"full": 2, "lora": 3}),
        ({"precision": "fp16", "frozen_dtype": "fp16"}, {"full": 2, "lora": 3}),
        ({"frozen_dtype": "nf4"}, {"full": 2, "lora": 4}),
        ({"frozen_dtype": "bf16"}, {"full": 2, "lora": 4}),  # the fourth: multiplied in float32, kept in bf16
    ],
)
def test_the_precision_of_the_run_is_planned_among_the_others(with_params, train, expected):
    params = with_params(train=train)
    for method, count in expected.items():
        cases = precisions(method, params)
        assert len(cases) == count and len(set(cases)) == count
        assert own_precision(method, params) in cases and ("fp32", "same") in cases
    assert own_precision("full", params)[1] == "same"


def test_frozen_weights_in_bf16_take_half_and_autocast_leaves_the_others_as_they_are(with_params):
    params = with_params(data={"max_length": 32}, train={"batch_size": 8, "micro_batch_size": 4})
    rows = {(row.precision, row.frozen_dtype): row for row in plan("small", encoder(), 2, "adapter", params) if not row.awp}
    model = bare_encoder("adapter", params)
    matrices = sum(weight.nbytes for weight in model.parameters() if weight.dim() > 1 and not weight.requires_grad) / MIB
    full, autocast, low = rows["fp32", "same"], rows["bf16", "same"], rows["bf16", "bf16"]
    assert autocast.weights_mib == full.weights_mib
    assert low.weights_mib == pytest.approx(full.weights_mib - matrices / 2, abs=0.1)
    assert low.optimizer_state_mib == autocast.optimizer_state_mib == full.optimizer_state_mib


@needs_bitsandbytes
@pytest.mark.parametrize(("method", "peft"), [("lora", {}), ("lora", {"use_dora": True}), ("adapter", {"adapter": "parallel"})])
def test_in_nf4_a_model_without_weights_has_the_prediction_of_the_loaded_one(project, with_params, method, peft):
    params = with_params(train={"frozen_dtype": "nf4"}, peft=peft)
    loaded = build(method_of(method), params, LABELS)
    bare = unloaded_model(read_config(BASE_MODEL), 2, method_of(method), params, "nf4")
    for awp in (False, True):
        arguments = (INPUTS, (2, 4), 8, True, awp)
        assert predict_training_memory(bare, *arguments) == predict_training_memory(loaded, *arguments)


@needs_bitsandbytes
def test_the_plan_of_a_run_in_nf4_has_its_packed_bytes(with_params):
    params = with_params(data={"max_length": 32}, train={"batch_size": 8, "micro_batch_size": 4, "frozen_dtype": "nf4"})
    rows = plan("small", encoder(), 2, "lora", params)
    weights = {(row.precision, row.frozen_dtype): row.weights_mib for row in rows}
    attention, feed_forward = packed_bytes(64, 64), packed_bytes(64, 256)
    packed = 3 * (4 * attention + 2 * feed_forward) + attention  # three layers and the pooler
    unpacked = 4 * (3 * (4 * 64 * 64 + 2 * 64 * 256) + 64 * 64)
    assert weights["fp32", "nf4"] == pytest.approx(weights["fp32", "same"] - (unpacked - packed) / MIB, abs=0.1)
    assert {row.awp for row in rows if row.frozen_dtype == "nf4"} == {False, True}
