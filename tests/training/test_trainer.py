"""The loss: micro-batches add up to the batch, and class weights balance what classes contribute."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stages.classifier.inference import predict_logits
from stages.classifier.splits import load_labels, load_split, load_tokenizer, make_collator
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.training.run import make_trainer
from stages.training.trainer import ClassificationLoss, balanced_class_weights
from tests.training.tiny import SMALL

LABELS = np.array([0] * 6 + [1] * 3 + [2] * 1)


def test_balanced_weights_give_every_class_the_same_share_and_a_row_the_mean_weight_1():
    weights = balanced_class_weights(LABELS, 3).numpy()
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, (10 / (3 * np.bincount(LABELS))).astype(np.float32))  # N / (K n_k), to the bit
    np.testing.assert_allclose(np.bincount(LABELS) * weights, 10 / 3, rtol=1e-6)
    assert weights[LABELS].mean() == pytest.approx(1)


@pytest.mark.parametrize("balanced", [False, True])
def test_unequal_micro_batches_add_up_to_the_batch(balanced):
    torch.manual_seed(0)
    logits, labels = torch.randn(10, 3), torch.tensor(LABELS)
    weights = balanced_class_weights(LABELS, 3) if balanced else None
    loss = ClassificationLoss(weights)
    parts = [slice(0, 4), slice(4, 9), slice(9, 10)]
    total = sum(loss(SimpleNamespace(logits=logits[part]), labels[part], 10) for part in parts)
    rows = -logits.log_softmax(dim=1)[torch.arange(10), labels]
    expected = (rows * (weights[labels] if balanced else 1)).sum() / 10
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("setting", ["none", "balanced"])
def test_validation_loss_is_the_plain_mean_whatever_the_class_weights(prepared, with_params, setting):
    params = with_params(train={**SMALL, "class_weights": setting})
    model = build(method_of("full"), params, load_labels())
    trainer = make_trainer(params, model, load_tokenizer(), 1e-3, load_split("train"), "scratch")
    reported = trainer.evaluate()["eval_cross_entropy"]
    validation = load_split("validation")
    logits = predict_logits(model, validation, make_collator(load_tokenizer()), 4)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.tensor(validation["label"][:]))
    assert reported == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("setting", "weighed"), [("none", False), ("balanced", True)])
def test_the_parameter_reaches_the_trainer(prepared, with_params, setting, weighed):
    params = with_params(train={**SMALL, "class_weights": setting})
    rows, labels = load_split("train"), load_labels()
    trainer = make_trainer(params, build(method_of("full"), params, labels), load_tokenizer(), 1e-3, rows, "scratch")
    used = trainer.compute_loss_func.class_weights
    assert (used is not None) == weighed
    if weighed:
        counts = np.bincount(rows["label"])
        np.testing.assert_allclose(used, len(rows) / (2 * counts), rtol=1e-6)
