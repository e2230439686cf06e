"""Early stopping waits for its patience, restores the best epoch, and insists on its metric."""

from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerControl

from stages.training.early_stopping import EarlyStopping


def evaluate_with(stopping, values, name="eval_f1"):
    """Feed `values` as the metrics of consecutive epochs; return the number of epochs run."""
    control = TrainerControl()
    for epoch, value in enumerate(values, start=1):
        with torch.no_grad():
            stopping.model.weight.fill_(epoch)
        stopping.on_evaluate(None, SimpleNamespace(epoch=float(epoch)), control, {name: value})
        if control.should_training_stop:
            break
    return epoch


def test_early_stopping_waits_for_patience_epochs_without_gain_and_restores_the_best():
    stopping = EarlyStopping(torch.nn.Linear(1, 1), patience=3)
    # equal is not better; a gain restarts the count
    assert evaluate_with(stopping, [0.5, 0.7, 0.7, 0.6, 0.8, 0.8, 0.8, 0.7, 0.9]) == 8
    assert (stopping.best_epoch, stopping.best_value) == (5, 0.8)
    stopping.restore()
    assert stopping.model.weight.item() == 5


def test_early_stopping_complains_about_a_missing_metric():
    with pytest.raises(KeyError, match="needs the metric 'eval_f1'"):
        evaluate_with(EarlyStopping(torch.nn.Linear(1, 1), patience=3), [0.5], name="eval_F1")
