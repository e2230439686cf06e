"""Stop when validation stops improving, and keep the best epoch's weights."""

from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.training.sharding import local, trained_weights

METRIC = "eval_f1"


class EarlyStopping(TrainerCallback):
    """Ends training after `patience` epochs in a row without a better validation macro F1.

    After each evaluation the metric is compared with the best so far; strictly greater is better. The best epoch's
    trainable parameters are copied to host memory; `restore` puts them back. Of sharded weights each process keeps its share.

    Raises:
        KeyError: the evaluation did not report `eval_f1`; a callback that ignored this would never stop training.
    """

    def __init__(self, model: nn.Module, patience: int):
        self.model = model
        self.patience = patience
        self.best_value = float("-inf")
        self.best_epoch = 0
        self.epochs_without_gain = 0
        self.best_weights: dict[str, torch.Tensor] = {}

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> TrainerControl:
        if metrics is None or METRIC not in metrics:
            raise KeyError(f"early stopping needs the metric {METRIC!r}; the evaluation reported {sorted(metrics or ())}")
        if metrics[METRIC] > self.best_value:
            self.best_value = metrics[METRIC]
            self.best_epoch = round(state.epoch or 0)
            self.epochs_without_gain = 0
            self.best_weights = {name: local(weight.detach()).cpu().clone() for name, weight in trained_weights(self.model)}
        else:
            self.epochs_without_gain += 1
            control.should_training_stop |= self.epochs_without_gain >= self.patience
        return control

    def state(self) -> dict[str, float]:
        """Everything but the best weights, as JSON values."""
        return {name: getattr(self, name) for name in ("best_value", "best_epoch", "epochs_without_gain")}

    def load(self, state: dict[str, float], best_weights: dict[str, torch.Tensor]) -> None:
        """Resume from a `state` and the weights that belong to it."""
        self.best_value, self.best_epoch = state["best_value"], int(state["best_epoch"])
        self.epochs_without_gain = int(state["epochs_without_gain"])
        self.best_weights = best_weights

    @torch.no_grad()
    def restore(self) -> None:
        """Put the best epoch's weights into the model."""
        for name, weight in trained_weights(self.model):
            local(weight).copy_(self.best_weights[name])
