"""The learning curve: one row per epoch, printed during training and kept as plot data."""

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ProgressCallback

from stages.project.files import write_csv


@dataclass(frozen=True)
class EpochRow:
    """Losses are mean cross entropies in nats; precision, recall and f1 are macro-averaged, on validation."""

    epoch: int
    step: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float


class History(TrainerCallback):
    """Collects an `EpochRow` after each evaluation and prints it.

    `train_loss` is the epoch's mean loss at the weights themselves, not at AWP's perturbed ones, with dropout.
    """

    def __init__(self) -> None:
        self.rows: list[EpochRow] = []
        self._train_log: dict[str, float] = {}

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if "loss" in kwargs["logs"]:
            self._train_log = kwargs["logs"]

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        metrics: dict[str, float] = kwargs["metrics"]
        row = EpochRow(
            epoch=round(state.epoch or 0),
            step=state.global_step,
            learning_rate=self._train_log["learning_rate"],
            train_loss=self._train_log["loss"],
            validation_loss=metrics["eval_cross_entropy"],
            **{name: metrics[f"eval_{name}"] for name in ("accuracy", "precision", "recall", "f1")},
        )
        self.rows.append(row)
        print(
            f"epoch {row.epoch}/{round(state.num_train_epochs)}  step {row.step}  loss: train {row.train_loss:.4f} "
            f"validation {row.validation_loss:.4f}  accuracy {row.accuracy:.4f}  precision {row.precision:.4f}  "
            f"recall {row.recall:.4f}  F1 {row.f1:.4f}",
            flush=True,
        )

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        write_csv(path, [field.name for field in fields(EpochRow)], map(astuple, self.rows))


class ProgressBar(ProgressCallback):
    """The library's progress bar without its raw log lines; `History` prints readable ones."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        pass
