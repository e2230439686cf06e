"""Head only: the table of features gives the model's own logits, is computed once, and only the head learns."""

import copy

import pytest
import torch
from datasets import Dataset
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from peft_extras.mixout import apply_mixout
from stages.classifier.counting import count_parameters, head_modules
from stages.project.errors import UserError
from study.head import HeadOnly, as_row_numbers, compute_features, kept_features

TINY = {"vocab_size": 50, "max_position_embeddings": 32}


def distilbert():
    torch.manual_seed(0)
    return DistilBertForSequenceClassification(DistilBertConfig(**TINY, dim=16, n_layers=2, n_heads=2, hidden_dim=24))


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in rows])
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


@pytest.fixture
def rows() -> Dataset:
    generator = torch.Generator().manual_seed(1)
    ids = [torch.randint(5, 50, (n,), generator=generator).tolist() for n in (7, 3, 9, 4, 5)]
    return Dataset.from_dict(
        {"input_ids": ids, "label": [0, 1, 1, 0, 1], "length": [len(row) for row in ids], "text": list("abcde")}
    )


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_logits_from_the_table_are_the_models_own(family, rows, tiny_bert, params):
    model = (tiny_bert if family == "bert" else distilbert()).eval()
    own = copy.deepcopy(model)
    features = compute_features(model, rows, collate, batch_size=2)
    assert features.dtype == torch.float32 and features.shape == (5, 16)
    head = HeadOnly(torch.cat([torch.zeros(3, 16), features])).attach(model, params).eval()
    numbered = as_row_numbers(rows, first=3)
    assert numbered["input_ids"][:] == [[3], [4], [5], [6], [7]] and numbered["length"][:] == rows["length"][:]
    torch.testing.assert_close(head(**collate(numbered.to_list())).logits, own(**collate(rows.to_list())).logits)


def test_only_the_head_has_gradients_and_the_regularizers_find_it(tiny_bert, params):
    head = HeadOnly(torch.randn(4, 16)).attach(tiny_bert, params)
    counts = count_parameters(head)
    assert (counts.trainable, counts.trainable_body) == (16 * 2 + 2, 0)
    assert {name for name, weight in head.named_parameters() if weight.requires_grad} == {"classifier.weight", "classifier.bias"}
    assert apply_mixout(head, head_modules(head), 0.1) == 1
    head(input_ids=torch.tensor([[0], [3]]), labels=torch.tensor([0, 1])).loss.backward()
    assert head.classifier.weight.grad.abs().sum() > 0


def test_an_encoder_whose_head_reads_all_tokens_is_refused(rows):
    torch.manual_seed(0)
    config = ModernBertConfig(
        **TINY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, classifier_pooling="mean",
        pad_token_id=0, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    with pytest.raises(UserError, match="reads the first token only; that of a modernbert model does not"):
        compute_features(ModernBertForSequenceClassification(config), rows, collate, batch_size=2)


def test_features_are_computed_once(tmp_path):
    calls = []

    def compute() -> torch.Tensor:
        calls.append(1)
        return torch.arange(6.0).view(3, 2)

    path = tmp_path / "features/a.safetensors"
    first, second = kept_features(path, compute), kept_features(path, compute)
    assert torch.equal(first, second) and len(calls) == 1
    assert torch.equal(kept_features(tmp_path / "features/b.safetensors", compute), first) and len(calls) == 2
