"""What the two examples train: a tiny random BERT, and sentences of numbers whose label can be learned."""

import torch
from transformers import BertConfig, BertForSequenceClassification

from peft_extras.bottleneck import BottleneckConfig


def tiny_classifier() -> BertForSequenceClassification:
    """A random classifier of two classes; the same weights each time."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return BertForSequenceClassification(BertConfig(vocab_size=60, max_position_embeddings=16, **sizes))


def texts(rows: int) -> list[dict[str, torch.Tensor]]:
    """Rows of 8 token ids; class 1 holds tokens of the upper half of the vocabulary."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 2, (rows,), generator=generator)
    ids = torch.randint(0, 30, (rows, 8), generator=generator) + 30 * labels[:, None]
    rows_and_labels = zip(ids, labels, strict=True)
    return [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": label} for row, label in rows_and_labels]


def adapter_config() -> BottleneckConfig:
    """An adapter after each feed-forward block (Pfeiffer et al. 2021), and a trained head."""
    return BottleneckConfig(
        task_type="SEQ_CLS",
        target_modules=r".*\.layer\.\d+\.output\.dropout",
        hidden_size=32,
        bottleneck=8,
        modules_to_save=["classifier"],
    )
