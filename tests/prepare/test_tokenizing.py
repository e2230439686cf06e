"""Token ids without padding, lengths before truncation, and files with stable bytes."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from stages.classifier.splits import load_tokenizer
from stages.prepare.tokenizing import check_model, encode, write_tokenized
from stages.project.errors import UserError

TINY_BERT = Path(__file__).parents[2] / "examples/tiny-bert"


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(TINY_BERT)


def test_long_texts_are_truncated_and_none_is_padded(tokenizer):
    texts = ["kettle", "the kettle works perfectly", "lamp " * 50]
    ids, lengths = encode(tokenizer, texts, max_length=8)
    assert lengths.tolist() == [3, 6, 52]
    assert [len(tokens) for tokens in ids] == [3, 6, 8]
    assert all(tokens[0] == tokenizer.cls_token_id and tokens[-1] == tokenizer.sep_token_id for tokens in ids)


def test_a_saved_tokenizers_own_padding_and_truncation_are_overruled(tmp_path):
    tokenizer = load_tokenizer(TINY_BERT)
    tokenizer.backend_tokenizer.enable_padding(length=20)
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.save_pretrained(tmp_path)
    ids, lengths = encode(load_tokenizer(tmp_path), ["kettle", "lamp " * 10], max_length=8)
    assert (lengths.tolist(), [len(tokens) for tokens in ids]) == ([3, 12], [3, 8])


def test_batches_do_not_change_the_result(tokenizer, tmp_path):
    texts = [f"lamp {'x' * (i % 9)}" for i in range(23)]
    encoded = write_tokenized(tmp_path / "a.arrow", [texts[:20], texts[20:]], np.zeros(23, dtype=np.int64), tokenizer, 6)
    ids, whole = encode(tokenizer, texts, max_length=6)
    assert encoded.lengths.tolist() == whole.tolist()
    assert Dataset.from_file(str(tmp_path / "a.arrow"))["input_ids"][:] == ids


def test_unknown_tokens_and_equal_encodings_are_counted(tokenizer, tmp_path):
    texts = ["the kettle", "the 😍", "the 👎", "the kettle the kettle", "the kettle the lamp"]
    encoded = write_tokenized(tmp_path / "a.arrow", [texts[:3], texts[3:]], np.zeros(5, dtype=np.int64), tokenizer, 5)
    rows = Dataset.from_file(str(tmp_path / "a.arrow"))["input_ids"][:]
    assert (encoded.tokens, encoded.unknown) == (2 + 2 + 2 + 3 + 3, 2)  # without the special ones, three of four are kept
    assert len(set(encoded.digests.tolist())) == len(set(map(tuple, rows))) == 3
    assert encoded.digests[1] == encoded.digests[2] and encoded.digests[3] == encoded.digests[4]


def test_a_vocabulary_without_an_unknown_token_knows_everything(tokenizer, tmp_path):
    tokenizer.unk_token = None
    encoded = write_tokenized(tmp_path / "a.arrow", [["the kettle"]], np.zeros(1, dtype=np.int64), tokenizer, 5)
    assert (encoded.tokens, encoded.unknown) == (2, 0)


def test_a_length_that_the_encoder_cannot_read_is_refused(tokenizer):
    check_model(128, tokenizer, TINY_BERT)
    with pytest.raises(UserError, match=r"data\.max_length: 129, but .*tiny-bert reads at most 128 tokens"):
        check_model(129, tokenizer, TINY_BERT)


def test_datasets_maps_the_file_and_rewriting_gives_the_same_bytes(tokenizer, tmp_path):
    texts, labels = [f"lamp {i}" for i in range(30)], np.arange(30) % 2
    ids, _ = encode(tokenizer, texts, max_length=5)
    for name in ("a", "b"):
        write_tokenized(tmp_path / f"{name}.arrow", [texts[:17], texts[17:]], labels, tokenizer, 5)
    os.utime(tmp_path / "b.arrow", (0, 0))
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()
    dataset = Dataset.from_file(str(tmp_path / "a.arrow"))
    assert dataset[29] == {"text": "lamp 29", "label": 1, "input_ids": ids[29], "length": len(ids[29])}
    assert dataset.data.schema.field("input_ids").type == pa.list_(pa.int32())
    assert dataset.cache_files[0]["filename"] == str(tmp_path / "a.arrow")


def test_a_folder_without_a_usable_tokenizer_is_refused(tmp_path):
    shutil.copyfile(TINY_BERT / "config.json", tmp_path / "config.json")
    with pytest.raises(UserError, match="its tokenizer knows no words"):
        load_tokenizer(tmp_path)
    with pytest.raises(UserError, match="no such folder; run the stage fetch first"):
        load_tokenizer(tmp_path / "absent")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="no tokenizer can be loaded"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    tokenizer = load_tokenizer(TINY_BERT)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="no padding token"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(tokenizer, tmp_path):
    content = (TINY_BERT / "config.json").read_text()
    (tmp_path / "config.json").write_text(content.replace('"vocab_size": ', '"vocab_size": 1, "was": '))
    with pytest.raises(UserError, match=r"its tokenizer has [0-9,]+ tokens, its config.json has vocab_size 1; save"):
        check_model(16, tokenizer, tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"config.json names no model_type"):
        check_model(16, tokenizer, tmp_path)
