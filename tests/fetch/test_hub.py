"""Encoders and data sets that come over HTTP from a stand-in for the Hub, in separate processes: the client's real path."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from datasets import ClassLabel, Dataset, Features, Value
from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel

from stages.classifier.loading import load_base_model
from stages.classifier.splits import load_labels, load_split
from stages.project.files import read_json
from tests.fetch.hub_server import REVISION, hub_server
from tests.imports import ROOT

pytestmark = pytest.mark.slow
TINY_BERT = ROOT / "examples/tiny-bert"
POLARITY = Features({"label": ClassLabel(names=["negative", "positive"]), "title": Value("string"), "content": Value("string")})


def polarity(start: int, count: int) -> Dataset:
    """Made-up reviews in the columns of amazon_polarity."""
    rows = range(start, start + count)
    content = {"label": [i % 2 for i in rows], "title": ["a"] * count, "content": [f"kettle, number {i}\nbought" for i in rows]}
    return Dataset.from_dict(content, features=POLARITY)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub with the encoder org/distil, others, and the data set org/polarity; yields its folder, address and requests."""
    root = tmp_path_factory.mktemp("hub")
    distil = root / "models/org/distil"
    tokenizer = AutoTokenizer.from_pretrained(TINY_BERT)
    torch.manual_seed(0)
    sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 128}
    model = DistilBertModel(DistilBertConfig(vocab_size=len(tokenizer), **sizes))
    model.save_pretrained(distil)
    tokenizer.save_pretrained(distil)
    (distil / "onnx").mkdir()
    for name in ("pytorch_model.bin", "model.fp16.safetensors", "onnx/model.safetensors", "onnx/config.json", "modeling_mine.py"):
        (distil / name).write_text("never downloaded")
    pickled = Path(shutil.copytree(distil, root / "models/org/pickled"))
    (pickled / "model.safetensors").unlink()
    sharded = root / "models/org/sharded"
    model.save_pretrained(sharded, max_shard_size="20KB")
    tokenizer.save_pretrained(sharded)
    other = root / "models/org/other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "gpt2"}')
    (other / "model.safetensors").write_text("never downloaded")
    data = root / "datasets/org/polarity"
    data.mkdir(parents=True)
    polarity(0, 200).to_parquet(data / "train.parquet")
    polarity(190, 40).to_parquet(data / "test.parquet")
    with hub_server(root) as (address, asked):
        yield root, address, asked


@pytest.fixture
def run(hub, tmp_path, monkeypatch):
    """A function that runs a stage in an empty project with model and data from the stand-in; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(stage: str, model: dict | None = None, data: dict | None = None, **environment: str) -> subprocess.CompletedProcess:
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["model"] |= {"source": "hub", "hub": {"name": "org/distil", "revision": REVISION, **(model or {})}}
        content["data"] |= {"source": "csv"} if data is None else {"source": "hub"}
        content["data"]["csv"]["path"] = str(ROOT / "examples/reviews.csv")
        content["data"]["hub"] |= {"revision": REVISION, **(data or {})}
        Path("params.yaml").write_text(yaml.safe_dump(content))
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        settings = {"HF_ENDPOINT": hub[1], "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT), "HOME": str(Path.cwd() / "home")}
        command = [sys.executable, "-m", f"stages.{stage}"]
        return subprocess.run(command, env={**inherited, **settings, **environment}, capture_output=True, text=True)

    return run


def names(folder: Path | str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def refused(done: subprocess.CompletedProcess) -> str:
    """The one message in which the stage ended, with nothing written."""
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert not any(Path(name).exists() for name in ("data/fetched", "models/base"))
    return done.stderr


def test_model_and_data_of_the_practical_are_fetched_and_prepared(run, hub):
    """distilbert on amazon_polarity: columns label, title, content; a fixed test set; the second time nothing is downloaded."""
    data = {"name": "org/polarity", "test_split": "test", "text_column": "content"}
    done = run("fetch", data=data)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    expected = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert names("models/base") == expected and names("data/fetched") == ["test.arrow", "train.arrow"]
    for name in expected:
        assert Path("models/base", name).read_bytes() == (hub[0] / "models/org/distil" / name).read_bytes()
    asked = {Path(path).name for path in hub[2] if "/org/distil/resolve/" in path}
    assert asked == {*expected}  # no pickle, no code, nothing for other libraries
    assert names(".cache/huggingface") == ["datasets", "hub"]
    assert not list(Path("home").rglob("*.parquet")) and not list(Path("home").rglob("*.safetensors"))

    done = run("prepare", data=data)
    assert done.returncode == 0, done.stderr
    assert load_labels() == ["negative", "positive"]
    metrics = read_json("metrics/data.json")
    assert [metrics[f"{name}_rows"] for name in ("train", "validation", "test")] == [166, 24, 40]
    assert metrics["dropped_in_other_split"] == 10 and metrics["test_majority_percent"] == 50.0
    assert load_split("test")["text"][0] == "kettle, number 190 bought"
    assert load_base_model(load_labels(), 0).config.model_type == "distilbert"

    downloads = len([path for path in hub[2] if path.startswith("GET") and "/resolve/" in path])
    before = Path("data/fetched/train.arrow").read_bytes()
    assert run("fetch", data=data).returncode == 0
    assert len([path for path in hub[2] if path.startswith("GET") and "/resolve/" in path]) == downloads
    assert run("fetch", data=data, HF_HUB_OFFLINE="1").returncode == 0
    assert Path("data/fetched/train.arrow").read_bytes() == before


def test_shards_are_fetched(run, hub):
    assert run("fetch", {"name": "org/sharded"}).returncode == 0
    assert names("models/base") == names(hub[0] / "models/org/sharded")
    whole, shards = (DistilBertModel.from_pretrained(path).state_dict() for path in (hub[0] / "models/org/distil", "models/base"))
    assert all(whole[name].equal(shards[name]) for name in whole)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "org/absent"}, "model.hub.name: the Hub has no org/absent, or it is private"),
        ({"name": "org/gated"}, "model.hub.name: access to org/gated is restricted"),
        ({"revision": "f" * 40}, "model.hub.revision: org/distil has no commit " + "f" * 40),
        ({"name": "org/pickled"}, "it has model.fp16.safetensors, modeling_mine.py, pytorch_model.bin; only safetensors are"),
        ({"name": "org/other"}, f"model.hub.name: org/other at {REVISION} is a model of family 'gpt2'; supported are"),
    ],
)
def test_a_model_that_cannot_serve_is_one_message(run, hub, model, message):
    assert message in refused(run("fetch", model))
    assert not [path for path in hub[2] if path.endswith(("org/other/resolve/" + REVISION + "/model.safetensors", ".bin"))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "org/absent"}, "data.hub.name: org/absent cannot be used (DatasetNotFoundError"),
        ({"name": "org/gated"}, "data.hub.name: access to org/gated is restricted"),
        ({"name": "org/polarity", "revision": "f" * 40}, "data.hub.revision: org/polarity has no commit fff"),
    ],
)
def test_data_that_cannot_serve_are_one_message(run, data, message):
    assert message in refused(run("fetch", data=data))


def test_without_network_each_is_one_message(run):
    assert "model.hub.name: org/distil could not be fetched" in refused(run("fetch", HF_HUB_OFFLINE="1"))
    done = run("fetch", data={"name": "org/polarity"}, HF_HUB_OFFLINE="1")
    assert "data.hub.name: org/polarity could not be fetched" in refused(done)
