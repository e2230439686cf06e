"""The stage on tiny saved models: it scores what the saved weights predict."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import yaml
from transformers import BertTokenizerFast

from stages.classifier.counting import count_parameters
from stages.classifier.saving import save_checkpoint
from stages.classifier.scores import classification_scores
from stages.classifier.splits import load_split
from stages.evaluate import stage as evaluate
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.files import write_csv, write_json
from stages.project.parameters import load_params
from stages.project.schema import METHODS, Params
from tests.imports import ROOT

LABELS = ["negative", "positive"]


def write_split(name: str, rows: int, seed: int) -> tuple[list[list[int]], np.ndarray]:
    """Write a tokenized split of random texts of 4 to 11 tokens; return their ids and labels."""
    generator = np.random.default_rng(seed)
    ids = [[2, *generator.integers(5, 50, generator.integers(2, 10)).tolist(), 3] for _ in range(rows)]
    labels = generator.integers(0, 2, rows)
    columns = {
        "text": [f"text {row}" for row in range(rows)],
        "label": pa.array(labels, pa.int64()),
        "input_ids": pa.array(ids, pa.list_(pa.int32())),
        "length": pa.array(map(len, ids), pa.int32()),
    }
    table = pa.table(columns)
    with pa.OSFile(f"data/processed/{name}.arrow", "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return ids, labels


def logits_of(model: torch.nn.Module, ids: list[list[int]]) -> np.ndarray:
    """Return the logits (N, 2) of the model in memory, one text at a time and so without padding."""
    with torch.inference_mode():
        return np.concatenate([model(input_ids=torch.tensor([row])).logits.numpy() for row in ids])


def save_method(method: str, params, tokenizer, ids: list[list[int]]) -> torch.nn.Module:
    """Save the method with weights different from their initial ones, and what its training would have recorded.

    The bias of the head is set so that half of the texts `ids` fall into each class.
    """
    model = build(method_of(method), params, LABELS)
    torch.manual_seed(len(method))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.ndim > 1:
                parameter.add_(torch.randn_like(parameter))
        logits = logits_of(model.eval(), ids)
        head = [p for name, p in model.named_parameters() if p.requires_grad and "classifier" in name]
        head[-1][0] += float(np.median(logits[:, 1] - logits[:, 0]))
    save_checkpoint(model, tokenizer, Path("models", method))
    counts = count_parameters(model)
    recorded = {
        "epochs_trained": 2,
        "best_epoch": 1,
        "trainable_parameters": counts.trainable,
        "trainable_body_parameters": counts.trainable_body,
        "trainable_head_parameters": counts.trainable_head,
        "total_parameters": counts.total,
        "trainable_percent": 100 * counts.trainable / counts.total,
    }
    write_json(Path(f"metrics/training/{method}.json"), recorded)
    columns = ["epoch", "f1", "train_loss"]
    write_csv(Path(f"plots/learning_curves/{method}.csv"), columns, [[1, 0.6, 0.7], [2, 0.5, 0.6]])
    return model


@pytest.fixture
def trained(project, params):
    """A project after training: three models, the test set, one transfer set; returns models and data in memory."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
    Path("vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast("vocab.txt")
    tokenizer.save_pretrained("models/base")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, name)
    Path("data/processed").mkdir(parents=True)
    write_json(Path("data/processed/labels.json"), {"labels": LABELS, "transfer": ["tweets"]})
    write_split("train", 40, seed=3)
    data = {"test": write_split("test", 24, seed=1), "tweets": write_split("transfer_tweets", 12, seed=2)}
    return {method: save_method(method, params, tokenizer, data["test"][0]) for method in METHODS}, data


@pytest.mark.slow
def test_the_saved_models_are_scored_as_the_ones_in_memory(trained, capsys):
    models, data = trained
    evaluate.main()
    all_predictions = set()
    for method, model in models.items():
        m = json.loads(Path(f"metrics/details/{method}.json").read_text())
        classes = {name: logits_of(model, ids).argmax(axis=1) for name, (ids, _) in data.items()}
        for key, name in {"f1": "test", "transfer_tweets_f1": "tweets"}.items():
            expected = classification_scores(data[name][1], classes[name], 2)["f1"]
            assert m[key] == pytest.approx(expected, abs=1e-6)
        predictions = pd.read_csv(f"plots/confusion/{method}.csv")["predicted"].tolist()
        assert predictions == [LABELS[k] for k in classes["test"]]
        assert predictions.count("positive") == 12
        assert m["trainable_parameters"] == sum(p.numel() for p in model.parameters() if p.requires_grad)
        size = Path(f"models/{method}").glob("*.safetensors")
        assert m["checkpoint_mib"] == pytest.approx(sum(path.stat().st_size for path in size) / 2**20, abs=1e-4)
        all_predictions.add(tuple(predictions))
    assert len(all_predictions) == 3  # the models differ, else the comparison above says little
    shown = capsys.readouterr().out
    assert "LoRA on the test set" in shown and "size MiB" in shown


def test_a_missing_training_record_is_named_before_anything_is_predicted(trained, monkeypatch):
    Path("metrics/training/lora.json").unlink()
    monkeypatch.setattr(evaluate, "predict", lambda *_: pytest.fail("predicted"))
    with pytest.raises(UserError, match=r"metrics/training/lora\.json.*dvc repro"):
        evaluate.main()


def test_a_model_with_a_different_number_of_classes_is_refused(trained):
    content = {"labels": [*LABELS, "neutral"], "transfer": []}
    write_json(Path("data/processed/labels.json"), content)
    with pytest.raises(UserError, match=r"models/full: the model has 2 classes.*the data has 3.*train_full"):
        evaluate.main()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    logits = np.array([[0.1, 0.2], [value, 0.0], [0.0, value]], dtype=np.float32)
    with pytest.raises(UserError, match=r"models/lora: 2 of 3 texts.*train\.learning_rate\.lora"):
        evaluate.classes_of(logits, 2, "lora")


def test_the_class_is_that_of_the_largest_logit_and_the_first_of_equal_ones():
    logits = np.array([[0.1, 0.2, 0.0], [3.0, 3.0, 1.0]], dtype=np.float32)
    assert evaluate.classes_of(logits, 3, "full").tolist() == [1, 0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in fp16")
def test_fp16_without_a_gpu_is_refused_before_anything_is_read(trained):
    change_precision("fp16")
    with pytest.raises(UserError, match=r"^evaluate\.precision: fp16 needs a GPU \(CUDA\), received fp16"):
        evaluate.main()


def test_the_test_set_is_predicted_in_the_precision_of_the_parameter(trained):
    """Autocast rounds; the tiny models' logits are large, so that little becomes up to a tenth of a probability."""
    data = {"test": load_split("test")}
    exact, rounded = (evaluate.predict(data, 2, change_precision(precision))["test"] for precision in ("fp32", "bf16"))
    for method in METHODS:
        difference = np.abs(exact.probabilities[method] - rounded.probabilities[method])
        assert 0 < difference.mean() < 0.03 and difference.max() < 0.2


def change_precision(precision: str) -> Params:
    content = load_params().model_dump()
    content["evaluate"]["precision"] = precision
    Path("params.yaml").write_text(yaml.safe_dump(content))
    return load_params()
