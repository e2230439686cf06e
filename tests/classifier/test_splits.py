"""What later stages read: splits, class names and padded batches."""

from pathlib import Path

import pytest
import sentencepiece
import torch
from datasets import Dataset, Features, Value

from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, load_transfer_names, make_collator
from stages.project.errors import UserError
from tests.imports import ROOT

TINY_BERT = ROOT / "examples/tiny-bert"


def test_a_batch_is_padded_to_its_longest_row_and_holds_tensors_only():
    collator = make_collator(load_tokenizer(TINY_BERT))
    rows = [{"input_ids": [2, 9, 3], "label": 1, "text": "a", "length": 3}, {"input_ids": [2, 3], "label": 0}]
    batch = collator(rows)
    assert batch["input_ids"].tolist() == [[2, 9, 3], [2, 3, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].tolist() == [1, 0]
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert all(isinstance(tensor, torch.Tensor) for tensor in batch.values())
    assert "labels" not in collator([{"input_ids": [2, 3]}])


def test_a_split_that_was_not_prepared_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"data/processed/train\.arrow: no such split; run the stage prepare"):
        load_split("train")


def test_a_tokenizer_that_is_published_as_a_sentencepiece_model_only(tmp_path):
    pieces = {"pad": "[PAD]", "bos": "[CLS]", "eos": "[SEP]", "unk": "[UNK]"}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["what a good film", "what a bad film", "a film to see twice"]),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=22,
        minloglevel=2,
        **{f"{name}_id": i for i, name in enumerate(pieces)},
        **{f"{name}_piece": piece for name, piece in pieces.items()},
    )
    (tmp_path / "config.json").write_text('{"model_type": "deberta-v2"}')  # DeBERTa-v3 has that type too
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    tokenizer = load_tokenizer(tmp_path)
    ids = tokenizer("a good film")["input_ids"]
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "a good film"


def test_a_column_is_an_array_in_its_own_type_and_in_the_order_of_the_rows():
    types = Features({"length": Value("int32"), "text": Value("string")})
    rows = Dataset.from_dict({"length": [3, 1, 2], "text": ["a", "b", "c"]}, features=types)
    lengths = column(rows, "length")
    assert lengths.dtype == "int32" and lengths.tolist() == [3, 1, 2]
    assert column(rows.select([2, 0]), "length").tolist() == [2, 3]


@pytest.mark.parametrize("content", [None, "{}", '{"labels": 1'])
def test_missing_or_damaged_labels_are_named(project, content):
    Path("data/processed").mkdir(parents=True)
    if content is not None:
        Path("data/processed/labels.json").write_text(content)
    for load in (load_labels, load_transfer_names):
        with pytest.raises(UserError, match=r"^data/processed/labels\.json: .*run the stage prepare"):
            load()


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff\xff" + bytes(40)])
def test_a_damaged_split_is_named(project, content):
    Path("data/processed").mkdir(parents=True)
    Path("data/processed/train.arrow").write_bytes(content)
    with pytest.raises(UserError, match=r"^data/processed/train\.arrow: "):
        load_split("train")
