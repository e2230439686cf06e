"""The real encoder and the real texts: fetched, prepared, and a few steps of each method trained."""

import json
import shutil

import numpy as np
import pytest
import yaml

from stages.classifier.inference import predict_logits
from stages.classifier.splits import load_split, load_tokenizer, make_collator
from stages.fetch import stage as fetch
from stages.methods.checkpoint import load_checkpoint
from stages.methods.registry import method_of
from stages.prepare import stage as prepare
from stages.project.schema import METHODS
from stages.training.run import train
from tests.imports import ROOT

BODY = {"full": 22_713_216, "lora": 147_456, "adapter": 297_600}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with 120 of the real texts, prepared; downloads are shared with the checkout."""
    folder = tmp_path_factory.mktemp("real")
    (ROOT / ".cache").mkdir(exist_ok=True)
    (folder / ".cache").symlink_to(ROOT / ".cache")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["limit"] = 120
    params["train"].update(epochs=1, batch_size=16, micro_batch_size=8)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copy(ROOT / "dvc.yaml", folder)  # it names what a saved point depends on
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fetch.main()
        prepare.main()
        yield folder


@pytest.mark.network
def test_the_data_is_what_it_claims_to_be(project):
    data = json.loads((project / "metrics/data.json").read_text())
    assert (data["rows_read"], data["train_rows"], data["validation_rows"], data["test_rows"]) == (10_605, 84, 12, 24)
    train_texts, test_texts = set(load_split("train")["text"]), set(load_split("test")["text"])
    assert len(train_texts) == 84 and not train_texts & test_texts
    assert max(load_split("transfer_products")["length"]) <= 128


@pytest.mark.network
@pytest.mark.parametrize("method", METHODS)
def test_a_few_steps_of_each_method(project, method):
    train(method_of(method))
    summary = json.loads((project / f"metrics/training/{method}.json").read_text())
    assert summary["optimizer_steps"] == 5  # floor(84 / 16)
    assert (summary["trainable_body_parameters"], summary["trainable_head_parameters"]) == (BODY[method], 770)
    assert summary["awp_steps"] == 4  # the last two of five steps, of two micro-batches each
    logits = predict_logits(load_checkpoint(project / "models" / method), load_split("test"), make_collator(load_tokenizer()), 8)
    assert logits.shape == (24, 2) and np.isfinite(logits).all()
