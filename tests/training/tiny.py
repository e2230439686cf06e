"""A project small enough to train in a second."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from transformers import BertTokenizerFast

from stages.project.paths import DURATIONS
from stages.project.schema import METHODS, Params
from tests.imports import PACKAGES, ROOT

LABELS = ["negative", "positive"]
# a training whose rank 0, which writes, dies by a kill after its third save point
DYING = """
import os, runpy, signal
from stages.training.save_point import SavePoint

write, written = SavePoint.write, []

def write_three(point, saved):
    write(point, saved)
    written.append(saved)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

SavePoint.write = write_three
runpy.run_module("stages.train_full", run_name="__main__")
"""
SMALL = {"epochs": 2, "batch_size": 8, "micro_batch_size": 4, "eval_batch_size": 8}


def write_split(path: Path, rows: int, seed: int) -> None:
    """Rows of random tokens; the label is whether token 5 or 6 leads, which is learnable."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(4, 12, rows)
    labels = generator.integers(0, 2, rows)
    ids = [[2, 5 + int(y), *generator.integers(7, 50, n - 3).tolist(), 3] for n, y in zip(lengths, labels, strict=True)]
    table = pa.table(
        {
            "text": [f"text {i}" for i in range(rows)],
            "label": pa.array(labels, pa.int64()),
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "length": pa.array(lengths, pa.int32()),
        }
    )
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def prepare(folder: Path, rows: int = 32) -> None:
    """Make `folder`, which holds an encoder, what the train stages read; texts have random words, `rows` are for training."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "models/base")
    (folder / "data/processed").mkdir(parents=True)
    (folder / "data/processed/labels.json").write_text(json.dumps({"labels": LABELS, "transfer": []}))
    write_split(folder / "data/processed/train.arrow", rows, seed=1)
    write_split(folder / "data/processed/validation.arrow", 12, seed=2)
    shutil.copy(ROOT / "dvc.yaml", folder)
    for package in PACKAGES:
        (folder / package).symlink_to(ROOT / package)


def write_params(folder: Path, params: Params, awp: bool = True, **train) -> None:
    """Write params.yaml for a small training with the values of `train`, the same learning rate for all methods."""
    content = params.model_dump()
    content["train"].update({**SMALL, **train}, learning_rate=dict.fromkeys(METHODS, 5e-3))
    content["awp"]["enabled"] = awp
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def results(folder: Path) -> dict[str, bytes]:
    """What a training left, by path: its model, learning curve and metrics."""
    paths = [path for place in ("models", "plots", "metrics") for path in (folder / place).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if "base" not in path.parts and path.name != DURATIONS.name
    }
