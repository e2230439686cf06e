"""A study whose cells were not trained but drawn, with known effects."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stages.classifier.scores import classification_scores
from stages.project.files import write_json
from study.analysis.cells import fingerprint
from study.definition import Cell, cells_of
from study.settings import Study, load_study

TEXTS = 600
SKILL = {"full": 1.30, "lora": 1.30, "adapter": 1.10, "head": 0.5}  # accuracy is about the normal distribution of it, over sqrt 2
BEST_RATE = {"full": 5e-5, "lora": 1e-3, "adapter": 4e-3, "head": 3e-2}
LOST = 0.5  # skill that full fine-tuning loses with AWP


def labels_of_test() -> np.ndarray:
    return np.arange(TEXTS) % 2


def write_study(folder: Path, study: Study | None = None, without: Iterable[str] = ()) -> dict[str, Cell]:
    """Write a file for every cell of the committed study, but those in `without`; return all cells."""
    cells = cells_of(study or load_study())
    difficulty = np.random.default_rng(0).normal(size=TEXTS)
    for place, (name, cell) in enumerate(cells.items()):
        if name not in without:
            write_json(folder / f"{name}.json", row_of(cell, difficulty, np.random.default_rng(1000 + place)))
    return cells


def row_of(cell: Cell, difficulty: np.ndarray, generator: np.random.Generator) -> dict:
    """Return a cell's file: skill by method, more with more rows, less by AWP's dose where many weights move."""
    with_awp = cell.condition in ("awp", "both") and cell.awp.get("enabled", True)
    epsilon = cell.awp.get("epsilon", 0.01) if with_awp else 0.0
    moved_all = cell.awp.get("target") == "all"
    handicap = LOST * epsilon / 0.01 * (cell.method == "full" or moved_all)
    rate = cell.learning_rate or BEST_RATE[cell.method] * cell.factor
    rows = cell.rows or 7049
    best = BEST_RATE[cell.method] * (2 if cell.series == "targets" else 1)  # few rows want a larger rate
    skill = SKILL[cell.method] - handicap + 0.25 * np.log10(rows / 3500) - 0.3 * abs(np.log2(rate / best))
    skill += 0.02 * generator.normal() - (0.1 if cell.peft.get("target") == "feed_forward" else 0)
    labels = labels_of_test()
    right = skill - difficulty + 0.3 * generator.normal(size=TEXTS) > 0
    predicted = np.where(right, labels, 1 - labels)
    scores = classification_scores(labels, predicted, 2)
    boxed = cell.awp.get("box")
    found = {
        "cell": cell.name, "series": cell.series, "method": cell.method, "condition": cell.condition, "seed": cell.seed,
        "split_seed": cell.split_seed or 13, "rows": rows, "learning_rate": rate, "epochs": cell.epochs,
        "awp_epsilon": epsilon if with_awp and not boxed else None,
        "awp_target": cell.awp.get("target", "trainable") if with_awp else None,
        "awp_embeddings": cell.awp.get("embeddings", "tensor") if with_awp else None, "awp_box": boxed,
        "peft_target": cell.peft.get("target", "attention") if cell.method == "lora" else None,
        "peft_rank": cell.peft.get("rank", 8) if cell.method == "lora" else None,
        "trainable": {"full": 22_713_986, "lora": 148_226, "adapter": 298_370, "head": 770}[cell.method],
        "best_epoch": cell.epochs,
        "validation_f1": round(scores["f1"], 6), "validation_loss": round(1 - scores["f1"], 6),
        "gradient_cosine": round(1 - handicap * 2, 6) if with_awp else None,
        "awp_relative_step_mean": (9e-5 if boxed else epsilon) if with_awp else None,
    }  # fmt: skip
    tested = {"test_f1": round(scores["f1"], 6), "test_predictions": "".join(map(str, predicted))} if cell.tested else {}
    return found | {"test_f1": None, "test_predictions": None, "test_sha256": fingerprint(labels, 2)} | tested
