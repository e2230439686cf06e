"""Classifying: a text is read in the form in which training read its texts, and cut where training cut them."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import BertTokenizerFast, PreTrainedTokenizerFast

from stages.classifier.saving import save_checkpoint
from stages.predict import classify
from stages.predict.classify import Classifier
from tests.checkpoints import WORDS, make_checkpoint, one_by_one
from tests.methods.tiny_models import POSITIONS, tiny_classifier


def one_token_a_character() -> PreTrainedTokenizerFast:
    """A tokenizer for which every kind of white space, and each way to write an accent, is something else."""
    signs = ["[PAD]", "[UNK]", *" \t\nw12e\u0301\u00e9"]
    backend = Tokenizer(models.WordLevel({sign: index for index, sign in enumerate(signs)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def test_texts_are_read_as_training_read_them_and_come_back_as_they_were(project, params):
    folder, texts = make_checkpoint("lora", params), ["w1 w2 \u00e9", " w1\tw2\n  e\u0301 ", "w1 w2 e"]
    classifier = Classifier(folder, merge=True)
    classifier.tokenizer = one_token_a_character()
    predictions = list(classifier.predict(texts, 1))
    assert [prediction.text for prediction in predictions] == texts
    plain, spaced, other = (prediction.probabilities for prediction in predictions)
    assert np.array_equal(plain, spaced) and not np.array_equal(plain, other)
    np.testing.assert_allclose([plain, spaced, other], one_by_one(folder, texts, classifier.tokenizer), atol=2e-6)


@pytest.mark.parametrize(("name", "expected"), [("deberta-v3", 60), ("roberta", POSITIONS - 2)])
def test_a_text_is_cut_where_prepare_lets_training_cut_it(project, monkeypatch, name, expected):
    """DeBERTa has no table of positions, whatever max_position_embeddings says; RoBERTa's has two rows that serve no text."""
    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = BertTokenizerFast("vocab.txt", model_max_length=60)
    save_checkpoint(tiny_classifier(name), tokenizer, Path("models/full"))
    monkeypatch.setattr(classify, "load_tokenizer", lambda folder: tokenizer)
    classifier = Classifier(Path("models/full"))
    assert classifier.max_length == expected
    start = "w1 " * (POSITIONS + 1)
    short, longer = classifier.predict([start, start + "w9"], 1)
    assert np.array_equal(short.probabilities, longer.probabilities) == (expected < POSITIONS)
