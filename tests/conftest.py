"""Shared fixtures: the committed parameters and tiny random models of the real classes."""

import os
import sys
from pathlib import Path

# before any library reads them
os.environ["HF_HUB_OFFLINE"] = "1"  # a test that needs the Hub is a mistake
os.environ["OMP_NUM_THREADS"] = "1"  # tiny tensors gain nothing from threads, and lose much where cores are busy
sys.path.append(str(Path(sys.prefix) / "qlora"))  # where `make setup-dev` puts the optional package of requirements-qlora.txt

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from stages.project.parameters import load_params
from stages.project.schema import Params
from tests.clone import Project, make_project
from tests.imports import ROOT
from tests.order import pytest_collection_modifyitems  # noqa: F401, a hook


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture
def with_params(params):
    """A function that returns the parameters with some sections' values replaced."""

    def replace(**sections) -> Params:
        content = params.model_dump()
        for section, values in sections.items():
            if isinstance(values, dict):
                content[section].update(values)
            else:
                content[section] = values
        return Params.model_validate(content)

    return replace


@pytest.fixture
def tiny_bert() -> BertForSequenceClassification:
    """A random BERT classifier of 2 layers, width 16, without dropout: the same call gives the same numbers."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForSequenceClassification(config)


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_bert) -> Path:
    """An empty folder as the current one, with a tiny encoder in models/base."""
    monkeypatch.chdir(tmp_path)
    tiny_bert.bert.save_pretrained("models/base")
    return tmp_path


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory) -> Project:
    """A clone in which the whole pipeline has run on the examples; a test leaves it as it found it."""
    return make_project(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Token ids (4, 7) with padding in two rows."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 50, (4, 7), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    mask[3, 2:] = 0
    return {"input_ids": ids, "attention_mask": mask}
