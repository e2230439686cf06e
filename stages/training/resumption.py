"""Lets a training be killed at any moment and, when restarted, end in the bytes of a run that was never interrupted."""

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peft_extras.awp import PerturbationLog
from stages.project.errors import UserError
from stages.project.running import Clock
from stages.training.early_stopping import EarlyStopping
from stages.training.history import EpochRow, History
from stages.training.nodes import share_saved
from stages.training.save_point import Saved, SavePoint
from stages.training.sharding import joined, like, local, trained_weights, whole
from stages.training.trainer import FineTuningTrainer

SECONDS = "SAVE_POINT_SECONDS"  # environment variable: seconds between two save points, 60 by default; does not change results
SHARE = 0.05  # saving takes at most this share of the time
STATE_FILE = "trainer_state.json"


class Resumption(TrainerCallback):
    """Captures and restores everything that the rest of a training reads, in one `SavePoint`.

    That is: trainable weights, optimizer, schedule, random number generators, the running loss, the learning curve, early
    stopping with the best weights, and AWP's log. Frozen weights and mixout's anchors are rebuilt from the base model and
    the seed. The library's own checkpoints are partly pickles, are not replaced atomically, and lack the last four.

    A point is saved after each epoch and, within an epoch, once a minute, or less often if saving takes long. Several
    processes share all state except random numbers and running losses: rank 0 gathers these and writes. To resume, one disk
    with the file suffices.

    Attributes:
        saved: the state to resume from, None to start from the beginning.

    Raises:
        UserError: SAVE_POINT_SECONDS is not a number of seconds.
    """

    def __init__(self, trainer: FineTuningTrainer, point: SavePoint, history: History, stopping: EarlyStopping):
        self.trainer, self.point, self.history, self.stopping = trainer, point, history, stopping
        self.seconds = self.pause = _seconds()
        self.last_saved = time.monotonic()
        self.saved = share_saved(point.read(), trainer.args.device)
        if self.saved:
            Clock.partial = True
            step = self.saved.state["trainer"]["global_step"]
            print(f"resuming from step {step}, saved in {point.path}", flush=True)

    def save(self) -> None:
        """Write the current state; on a full disk print that and keep the previous save point."""
        started = time.monotonic()
        own = self._gather_own()
        try:
            # of sharded weights every process sends its part
            captured = self._capture(own) if self.trainer.is_world_process_zero() or self.trainer.is_fsdp_enabled else None
            if captured and self.trainer.is_world_process_zero():
                self.point.write(captured)
        except OSError as error:
            step = self.trainer.state.global_step
            print(f"no save point was written at step {step}, the previous one is kept: {error}", flush=True)
        self.last_saved = time.monotonic()
        self.pause = max(self.seconds, (self.last_saved - started) / SHARE) if self.seconds else 0

    def _gather_own(self) -> dict[str, torch.Tensor]:
        """What differs between processes, one row per process: random number generators and the running loss."""
        device, states = self.trainer.args.device, {"rng.cpu": torch.get_rng_state(), "loss": self.trainer._tr_loss}
        if torch.cuda.is_available():
            states["rng.cuda"] = torch.cuda.get_rng_state(device)
        return {name: self.trainer.accelerator.gather(state.to(device)[None]).cpu() for name, state in states.items()}

    def _capture(self, own: dict[str, torch.Tensor]) -> Saved:
        trainer, weights = self.trainer, dict(trained_weights(self.trainer.model))
        tensors = {f"model.{name}": whole(weight.detach()) for name, weight in weights.items()}
        tensors |= {f"best.{name}": joined(weight, weights[name]) for name, weight in self.stopping.best_weights.items()}
        for index, values in trainer.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": whole(value) for name, value in values.items()}
        tensors |= own
        state = {
            "trainer": dataclasses.asdict(trainer.state),
            "logged_at": trainer._globalstep_last_logged,
            "schedule": trainer.lr_scheduler.state_dict(),
            "learning_rates": [group["lr"] for group in trainer.optimizer.param_groups],
            "history": [dataclasses.asdict(row) for row in self.history.rows],
            "stopping": self.stopping.state(),
            "awp": dataclasses.asdict(trainer.awp.log) if trainer.awp else None,
            "scaler": trainer.scaler.state_dict() if trainer.scaler else None,
            "overflows": trainer.overflows,
            "finished": trainer.control.should_training_stop,
        }
        return Saved(tensors, state)

    def restore_history(self) -> bool:
        """Restore learning curve, early stopping and AWP's log, and hand the Trainer its own state.

        Returns:
            Whether no epoch is left: the training was killed after its last one, before its results were written.
        """
        state = self._saved.state
        self.stopping.load(state["stopping"], _with_prefix(self._saved.tensors, "best."))
        self.history.rows[:] = [EpochRow(**row) for row in state["history"]]
        if self.trainer.awp:
            self.trainer.awp.log = PerturbationLog(**state["awp"])
        folder = self.trainer.args.output_dir
        assert folder is not None
        Path(folder, STATE_FILE).write_text(json.dumps(state["trainer"]), encoding="utf-8")
        return state["finished"]

    @torch.no_grad()
    def restore_weights(self) -> None:
        """Restore the weights, and cut the best epoch's as the model's are cut."""
        for name, weight in trained_weights(self.trainer.model):
            weight.copy_(like(self._saved.tensors[f"model.{name}"], weight))
            if name in self.stopping.best_weights:
                self.stopping.best_weights[name] = local(like(self.stopping.best_weights[name], weight)).cpu()

    def restore_optimizer(self) -> None:
        """Restore AdamW's moments, the learning rates and their schedule, and in fp16 the scale of the loss."""
        optimizer = self.trainer.optimizer
        content = optimizer.state_dict()
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for key, value in _with_prefix(self._saved.tensors, "optimizer.").items():
            index, name = key.split(".", 1)
            content["state"].setdefault(int(index), {})[name] = like(value, weights[int(index)])
        for group, learning_rate in zip(content["param_groups"], self._saved.state["learning_rates"], strict=True):
            group["lr"] = learning_rate
        optimizer.load_state_dict(content)
        self.trainer.lr_scheduler.load_state_dict(self._saved.state["schedule"])
        self.trainer.overflows = self._saved.state["overflows"]
        if self.trainer.scaler:
            self.trainer.scaler.load_state_dict(self._saved.state["scaler"])

    def restore_random_state(self) -> None:
        tensors, own = self._saved.tensors, self.trainer.args.process_index
        torch.set_rng_state(tensors["rng.cpu"][own].clone())  # PyTorch misreads a row that is a view
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"][own].clone(), self.trainer.args.device)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Start the clock, and restore the running loss, which the Trainer sets to zero after it has loaded its state."""
        self.last_saved, self.pause = time.monotonic(), self.seconds
        if state.global_step:
            self.trainer._tr_loss.copy_(self._saved.tensors["loss"][args.process_index])
            self.trainer._globalstep_last_logged = self._saved.state["logged_at"]

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Ask for a save point within an epoch when the last one is old enough."""
        steps_per_epoch = state.max_steps // state.num_train_epochs
        # after the last step of an epoch, the evaluation comes before the save point
        due = time.monotonic() - self.last_saved >= self.pause
        if state.global_step % steps_per_epoch and self._all_agree(due):
            control.should_save = True

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        control.should_save = True  # the Trainer evaluates before it saves

    def _all_agree(self, due: bool) -> bool:
        """Rank 0's clock decides, since all processes save together."""
        if self.trainer.args.world_size == 1:
            return due
        return bool(broadcast(torch.tensor(int(due), device=self.trainer.args.device)))

    @property
    def _saved(self) -> Saved:
        if self.saved is None:
            raise AssertionError("there is no saved state to resume from")
        return self.saved


def _seconds() -> float:
    received = os.environ.get(SECONDS, "60")
    try:
        seconds = float(received)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"environment variable {SECONDS}: a number of seconds, 0 or more, is needed, received {received!r}")
    return seconds


def _with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
