"""The memory plan: models without weights take no memory and have the same prediction as loaded ones."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from transformers import AlbertConfig, BertConfig

from stages.benchmark.peak import ResidentMeter
from stages.memory.budget import RESERVE_MIB
from stages.memory.inputs import RandomInputs
from stages.memory.predict import predict_training_memory
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.plan import table as plan
from stages.plan.architectures import OWN, PUBLISHED, configurations, unloaded_model
from stages.project.paths import BASE_MODEL
from stages.project.schema import METHODS

LABELS = ["negative", "positive"]
SIZES = {"DistilBERT": 66_362_880, "BERT-base": 109_482_240, "RoBERTa-large": 354_310_144}  # parameters of the encoders


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_encoders_have_their_published_size_and_take_no_memory(project, params, name):
    meter = ResidentMeter()
    model = unloaded_model(configurations(BASE_MODEL, [name])[name], 2, method_of("full"), params)
    encoder = sum(p.numel() for p in model.base_model.parameters())
    assert encoder == SIZES[name]
    meter.reset()
    assert meter.peaks()[""] < encoder  # bytes: a quarter of its weights


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_weights_has_the_prediction_of_the_loaded_one(project, params, method):
    inputs = RandomInputs(50, 2, 13, torch.device("cpu"))
    loaded = build(method_of(method), params, LABELS)
    bare = unloaded_model(configurations(BASE_MODEL, [])[OWN], 2, method_of(method), params)
    for awp in (False, True):
        arguments = (inputs, (2, 4), 8, True, awp)
        assert predict_training_memory(bare, *arguments) == predict_training_memory(loaded, *arguments)


@pytest.mark.slow
def test_the_stage_writes_a_row_for_each_case(project, with_params):
    Path("params.yaml").write_text(
        yaml.safe_dump(
            with_params(data={"max_length": 16}, train={"batch_size": 8, "micro_batch_size": 4}, plan={"models": []}).model_dump()
        )
    )
    Path("data/processed").mkdir(parents=True)
    Path("data/processed/labels.json").write_text(json.dumps({"labels": LABELS, "transfer": []}))
    plan.main()
    table = pd.read_csv("metrics/memory_plan.csv")
    assert list(table.columns) == list(plan.COLUMNS)
    assert len(table) == 3 * 2 * 2 and set(table["model"]) == {OWN}
    assert (table["micro_batch_size"] == 8).all() and (table["accumulation_steps"] == 1).all()
    assert (table["peak_mib"] + RESERVE_MIB < 4096).all()
    peaks = table.set_index(["method", "awp", "gradient_checkpointing"])["peak_mib"]
    assert peaks["full", True, False] >= peaks["full", False, False]
    assert (table["length"] == 16).all()
    first = Path("metrics/memory_plan.csv").read_bytes()
    plan.main()
    assert Path("metrics/memory_plan.csv").read_bytes() == first


@pytest.mark.slow
def test_texts_are_no_longer_than_a_model_accepts(project, with_params):
    params = with_params(data={"max_length": 1024}, train={"batch_size": 2, "micro_batch_size": "auto"})
    row = dict(zip(plan.COLUMNS, plan.plan(plan.Case(OWN, "lora", False, False), params, 2), strict=True))
    assert row["length"] == 32  # the tiny encoder has 32 positions
    assert row["micro_batch_size"] == 2


def test_checkpointing_is_left_out_where_a_family_does_not_support_it():
    cases = plan.cases_for({"albert": AlbertConfig(), "bert": BertConfig()})
    assert [case.checkpointing for case in cases if case.model == "albert"] == [False] * 6
    assert sum(case.checkpointing for case in cases if case.model == "bert") == 6
