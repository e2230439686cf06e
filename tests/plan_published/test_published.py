"""The table of published encoders: their true sizes, without weights, and nothing of this project's data, encoder or `peft`."""

from pathlib import Path

import pytest
import yaml
from transformers import BertConfig

from stages.benchmark.peak import ResidentMeter
from stages.methods.registry import method_of
from stages.plan_published import stage
from stages.plan_published.encoders import PUBLISHED, configuration
from stages.planning.models import unloaded_model
from stages.planning.table import Row

SIZES = {"DistilBERT": 66_362_880, "BERT-base": 109_482_240, "RoBERTa-large": 354_310_144}  # parameters of the encoders


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_encoders_have_their_published_size_and_take_no_memory(params, name):
    meter = ResidentMeter()
    model = unloaded_model(configuration(name), 2, method_of("full"), params)
    encoder = sum(p.numel() for p in model.base_model.parameters())
    assert encoder == SIZES[name]
    meter.reset()
    assert meter.peaks()[""] < encoder  # bytes: a quarter of its weights


def test_without_models_the_table_has_a_header_and_no_rows(tmp_path, monkeypatch, with_params):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(with_params(plan={"models": []}).model_dump()))
    stage.main()
    assert Path("metrics/published_memory_plan.csv").read_text() == ",".join(Row._fields) + "\n"


@pytest.mark.slow
def test_rank_and_bottleneck_of_the_run_do_not_matter_and_the_rows_say_what_does(monkeypatch, with_params):
    tiny = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    monkeypatch.setattr(stage, "configuration", lambda name: BertConfig(**tiny))
    train = {"batch_size": 2, "micro_batch_size": 2}
    runs = [with_params(train=train, peft=peft) for peft in ({"rank": 2, "bottleneck": 4}, {"rank": 16, "bottleneck": 128})]
    for method, said in (("lora", "rank 8"), ("adapter", "bottleneck 64"), ("full", "")):
        first, second = (stage.plan_one("BERT-base", method, params) for params in runs)
        assert first == second
        assert {row.peft for row in first} == {said}
