"""Checkpoints of tiny models as if trained: with tokenizer and training records, and logits that differ between texts."""

from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import BertTokenizerFast, PreTrainedTokenizerBase

from stages.classifier.counting import ParameterCounts, count_parameters
from stages.classifier.saving import save_checkpoint
from stages.classifier.splits import load_tokenizer
from stages.methods.checkpoint import load_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.prepare.rows import Row
from stages.prepare.store import StoredRows
from stages.prepare.tokenizing import encode
from stages.project.files import content_hash, write_csv, write_json
from stages.project.paths import BASE_MODEL, LEARNING_CURVES, METRICS, MODELS, TRAINING_METRICS
from stages.project.provenance import write_provenance
from stages.project.schema import Params

LABELS = ["negative", "so_so", "positive"]
WORDS = [f"w{i}" for i in range(45)]
MAX_LENGTH = 12  # below the 32 positions of the tiny encoder
VALIDATION = {"accuracy": 0.8125, "precision": 0.75, "recall": 0.7, "f1": 0.725}
ROWS = {"train": [30, 10, 60], "validation": [3, 1, 6]}


def make_checkpoint(method: str, params: Params, recorded: bool = True) -> Path:
    """Write models/{method} below the current folder, which holds a tiny encoder, and return that folder.

    Args:
        recorded: also write params.yaml and what prepare and the training record beside the model, as far as export reads it.
    """
    if not Path("vocab.txt").exists():
        _make_texts_matter(Path("models/base/model.safetensors"))
    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = BertTokenizerFast("vocab.txt", model_max_length=32)
    tokenizer.save_pretrained("models/base")
    model = build(method_of(method), params, LABELS)
    torch.manual_seed(len(method))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    folder = Path("models") / method
    save_checkpoint(model, tokenizer, folder, MAX_LENGTH)
    if recorded:
        record(method, params, count_parameters(model))
    return folder


def record(method: str, params: Params, counts: ParameterCounts) -> None:
    """Write params.yaml, the metrics and the learning curve of a training that kept epoch 2, and the rows of the data."""
    Path("params.yaml").write_text(yaml.safe_dump(params.model_dump()))
    Path("models/base/README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n")
    summary = {
        "epochs_trained": 3,
        "best_epoch": 2,
        "micro_batch_size": 16,
        "processes": 1,
        "learning_rate": getattr(params.train.learning_rate, method),
        "trainable_parameters": counts.trainable,
        "trainable_body_parameters": counts.trainable_body,
        "trainable_head_parameters": counts.trainable_head,
        "total_parameters": counts.total,
        "trainable_percent": counts.trainable_percent,
    }
    write_json(TRAINING_METRICS / f"{method}.json", summary)
    rows = [(1, *(0.5 for _ in VALIDATION)), (2, *VALIDATION.values())]
    write_csv(LEARNING_CURVES / f"{method}.csv", ["epoch", *VALIDATION], rows)
    counted = [{"name": label, **{split: numbers[k] for split, numbers in ROWS.items()}} for k, label in enumerate(LABELS)]
    write_json(METRICS / "data.json", {"classes": counted})
    inputs = {BASE_MODEL.as_posix(): content_hash(BASE_MODEL)}
    write_provenance(
        f"train_{method}", {"revision": None, "history": "complete", "uncommitted": None, "inputs": inputs}, [MODELS / method]
    )


def _make_texts_matter(weights: Path) -> None:
    """Enlarge the encoder's weights: fresh from their start they let all texts have nearly the same logits."""
    tensors = load_file(weights)
    save_file({name: tensor * 10 if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}, weights, {"format": "pt"})


def random_texts(number: int, longest: int = 20) -> list[str]:
    """Texts of 1 to `longest` words; the longer ones do not fit into MAX_LENGTH tokens."""
    generator = np.random.default_rng(7)
    return [" ".join(generator.choice(WORDS, generator.integers(1, longest + 1))) for _ in range(number)]


def one_by_one(folder: Path, texts: list[str], tokenizer: PreTrainedTokenizerBase | None = None) -> np.ndarray:
    """Probabilities (N, K) of texts that went through what `prepare` does with a user's texts, one at a time, without padding."""
    stored = StoredRows(Path("one_by_one.arrow"), [Row(text, 0) for text in texts])
    read = [text for batch in stored.texts(np.arange(len(texts))) for text in batch]
    ids, _ = encode(tokenizer or load_tokenizer(folder), read, MAX_LENGTH)
    model = load_checkpoint(folder)
    with torch.inference_mode():
        return np.concatenate([model(input_ids=torch.tensor([row])).logits.double().softmax(-1).numpy() for row in ids])
