"""A text's logits do not depend on the texts beside it in a batch, whatever side, length or token its tokenizer pads with."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertTokenizerFast

from stages.classifier.faster.apply import accelerate
from stages.classifier.inference import sorted_logits
from stages.classifier.saving import save_checkpoint
from stages.classifier.splits import describe_tokenizer, load_tokenizer, make_collator
from stages.methods.checkpoint import load_checkpoint
from stages.prepare.tokenizing import encode
from tests.imports import ROOT
from tests.methods.tiny_models import TINY, VOCABULARY, shake, tiny_classifier

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(VOCABULARY - 5))]
TEXTS = ["w1", "w2 w3 unknown w4", "w5 " * 20, "w6 w7 w8 w9 w10 w11 w12"]
LENGTHS = [3, 6, 22, 9]


def left_in_the_configuration(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))


def edit_backend(folder: Path, **padding) -> None:
    backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
    backend.enable_padding(**padding)
    backend.enable_truncation(8)
    backend.save(str(folder / "tokenizer.json"))


def left_in_tokenizer_json(folder: Path) -> None:
    edit_backend(folder, direction="left")


def left_to_a_fixed_length(folder: Path) -> None:
    edit_backend(folder, direction="left", length=30)


def with_another_token(folder: Path) -> None:
    """One that the model's configuration does not know as padding: RoBERTa counts positions by that."""
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": "[MASK]", "padding_side": "left"}))


VARIANTS = (left_in_the_configuration, left_in_tokenizer_json, left_to_a_fixed_length, with_another_token)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("edit", VARIANTS)
@pytest.mark.parametrize("name", TINY)
def test_logits_do_not_depend_on_the_batch(name, edit, folder):
    edit(folder)
    tokenizer = load_tokenizer(folder)
    ids, lengths = encode(tokenizer, TEXTS, 128)
    assert lengths.tolist() == LENGTHS
    model = tiny_classifier(name)
    shake(model)
    for faster in (False, True):
        if faster:
            accelerate(model)
        alone = sorted_logits(model, LENGTHS, ids.__getitem__, make_collator(tokenizer), 1)
        together = sorted_logits(model, LENGTHS, ids.__getitem__, make_collator(tokenizer), 4)
        np.testing.assert_allclose(together, alone, atol=1e-5)
        assert np.ptp(alone, axis=0).min() > 1e-3  # the texts differ in what they give


@pytest.mark.parametrize("edit", VARIANTS)
def test_a_saved_model_pads_on_the_right_without_this_project(edit, folder, tmp_path):
    edit(folder)
    model = tiny_classifier("bert")
    shake(model)
    save_checkpoint(model, load_tokenizer(folder), tmp_path / "full", 64)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "full")
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    assert batch["attention_mask"].sum(dim=1).tolist() == LENGTHS
    loaded = load_checkpoint(tmp_path / "full")
    for row, text in zip(loaded(**batch).logits, TEXTS, strict=True):
        alone = loaded(**tokenizer(text, return_tensors="pt")).logits[0]
        np.testing.assert_allclose(row.detach(), alone.detach(), atol=1e-5)
    padding = Tokenizer.from_file(str(tmp_path / "full/tokenizer.json")).padding
    assert padding is None or padding["direction"] == "right"


def test_an_unusual_tokenizer_is_described_and_a_usual_one_is_not(folder):
    assert describe_tokenizer(load_tokenizer(folder)) == []
    left_in_tokenizer_json(folder)
    assert [note.partition(";")[0] for note in describe_tokenizer(load_tokenizer(folder))] == ["its tokenizer pads on the left"]
    path = folder / "tokenizer_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"truncation_side": "left", "tokenizer_class": "TokenizersBackend"})
    )
    content = json.loads((folder / "tokenizer.json").read_text()) | {"post_processor": None, "padding": None}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    notes = describe_tokenizer(load_tokenizer(folder))
    assert len(notes) == 2 and "truncates on the left" in notes[0] and "no special token" in notes[1]


def test_every_stage_gets_its_tokenizer_and_its_batches_from_the_one_place_that_pads_on_the_right():
    files = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "stages").rglob("*.py")}
    for name in ("AutoTokenizer.from_pretrained(", "DataCollatorWithPadding(", ".pad("):
        users = [path for path, text in files.items() if name in text and path != "stages/export/usage.py"]  # text of a card
        assert users == ([] if name == ".pad(" else ["stages/classifier/splits.py"]), name
    for stage in ("training/run.py", "evaluate/stage.py", "benchmark/stage.py", "predict/classify.py", "prepare/stage.py"):
        assert "load_tokenizer(" in files[f"stages/{stage}"], stage
