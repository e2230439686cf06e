"""A Trainer that can be killed at any moment and, started again, ends in the bytes of a run that was never touched."""

import dataclasses
import json
import os
import time
from pathlib import Path

import torch
from accelerate.utils import broadcast
from transformers import Trainer, TrainerCallback

from stages.errors import UserError
from stages.regularization.awp import PerturbationLog
from stages.training.early_stopping import EarlyStopping
from stages.training.history import EpochRow, History
from stages.training.save_point import Saved, SavePoint

SECONDS = "SAVE_POINT_SECONDS"  # environment variable: seconds between two saved points, 60 by default; changes no result
SHARE = 0.05  # at most this share of the time goes into saving
STATE_FILE = "trainer_state.json"


class ResumableTrainer(Trainer):
    """`transformers.Trainer` whose checkpoints are one `SavePoint` with everything that the rest of the training reads.

    That is: trainable weights, optimizer, schedule, random number generators, the running loss, the learning curve,
    early stopping with the best weights, and AWP's log. Frozen weights and mixout's anchors are made again from the base
    model and the seed. The library's own checkpoints are pickles in part, are not replaced in one go, and lack the last four.

    A point is saved after each epoch and, within an epoch, once a minute, or less often where saving takes long. Where several
    processes train, all have the same state but for their random numbers: the first gathers these and writes.
    """

    point: SavePoint | None = None

    def make_resumable(self, point: SavePoint, history: History, stopping: EarlyStopping) -> None:
        """Save to `point` from now on, with the state of these two callbacks.

        Raises:
            UserError: SAVE_POINT_SECONDS is no number of seconds.
        """
        self.point, self.history, self.stopping = point, history, stopping
        self.seconds = _seconds()
        self.add_callback(_SaveByTheClock(self))

    def train_from(self, saved: Saved | None) -> None:
        """Train to the end: from `saved`, or from the beginning."""
        if saved is None:
            self.train()
            return
        self.saved = saved
        self.stopping.load(saved.state["stopping"], _with_prefix(saved.tensors, "best."))
        self.history.rows[:] = [EpochRow(**row) for row in saved.state["history"]]
        if self.awp:
            self.awp.log = PerturbationLog(**saved.state["awp"])
        if saved.state["finished"]:  # killed after the last epoch, before its results were written
            return
        Path(self.args.output_dir, STATE_FILE).write_text(json.dumps(saved.state["trainer"]), encoding="utf-8")
        self.train(resume_from_checkpoint=self.args.output_dir)

    def _save_checkpoint(self, model, trial) -> None:
        started = time.monotonic()
        own = self._gather_own()
        try:
            if self.is_world_process_zero():
                self.point.write(self._capture(own))
        except OSError as error:
            print(f"no point was saved at step {self.state.global_step}, the one before it stands: {error}", flush=True)
        self.last_saved = time.monotonic()
        self.pause = max(self.seconds, (self.last_saved - started) / SHARE) if self.seconds else 0

    def _gather_own(self) -> dict[str, torch.Tensor]:
        """What every process has for itself, a row for each: random number generators and the running loss."""
        states = {"rng.cpu": torch.get_rng_state(), "loss": self._tr_loss}
        if torch.cuda.is_available():
            states["rng.cuda"] = torch.cuda.get_rng_state(self.args.device)
        return {name: self.accelerator.gather(state.to(self.args.device)[None]).cpu() for name, state in states.items()}

    def _capture(self, own: dict[str, torch.Tensor]) -> Saved:
        tensors = {f"model.{name}": weight.detach() for name, weight in self._trained()}
        tensors |= {f"best.{name}": weight for name, weight in self.stopping.best_weights.items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        tensors |= own
        state = {
            "trainer": dataclasses.asdict(self.state),
            "logged_at": self._globalstep_last_logged,
            "schedule": self.lr_scheduler.state_dict(),
            "learning_rates": [group["lr"] for group in self.optimizer.param_groups],
            "history": [dataclasses.asdict(row) for row in self.history.rows],
            "stopping": self.stopping.state(),
            "awp": dataclasses.asdict(self.awp.log) if self.awp else None,
            "finished": self.control.should_training_stop,
        }
        return Saved(tensors, state)

    @torch.no_grad()
    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        for name, weight in self._trained():
            weight.copy_(self.saved.tensors[f"model.{name}"])

    def _load_optimizer_and_scheduler(self, checkpoint) -> None:
        if checkpoint is None:
            return
        content = self.optimizer.state_dict()
        for key, value in _with_prefix(self.saved.tensors, "optimizer.").items():
            index, name = key.split(".", 1)
            content["state"].setdefault(int(index), {})[name] = value
        for group, learning_rate in zip(content["param_groups"], self.saved.state["learning_rates"], strict=True):
            group["lr"] = learning_rate
        self.optimizer.load_state_dict(content)
        self.lr_scheduler.load_state_dict(self.saved.state["schedule"])

    def _load_rng_state(self, checkpoint) -> None:
        if checkpoint is None:
            return
        own = self.args.process_index
        torch.set_rng_state(self.saved.tensors["rng.cpu"][own].clone())  # PyTorch reads a row that is a view wrongly
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(self.saved.tensors["rng.cuda"][own].clone(), self.args.device)

    def _trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]


def _seconds() -> float:
    received = os.environ.get(SECONDS, "60")
    try:
        seconds = float(received)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"environment variable {SECONDS}: a number of seconds, 0 or more, is needed, received {received!r}")
    return seconds


class _SaveByTheClock(TrainerCallback):
    """Asks for a save point within an epoch when the last one is old enough, and hands the running loss over at the start."""

    def __init__(self, trainer: ResumableTrainer):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        self.trainer.last_saved, self.trainer.pause = time.monotonic(), self.trainer.seconds
        if state.global_step:
            saved = self.trainer.saved
            self.trainer._tr_loss.copy_(saved.tensors["loss"][args.process_index])
            self.trainer._globalstep_last_logged = saved.state["logged_at"]

    def on_step_end(self, args, state, control, **kwargs):
        steps_per_epoch = state.max_steps // state.num_train_epochs
        # the last step of an epoch is followed by its evaluation, and only then by a save point
        due = time.monotonic() - self.trainer.last_saved >= self.trainer.pause
        if state.global_step % steps_per_epoch and self._all_agree(due):
            control.should_save = True

    def _all_agree(self, due: bool) -> bool:
        """The first process's clock counts, since saving is a thing that all do together."""
        if self.trainer.args.world_size == 1:
            return due
        return bool(broadcast(torch.tensor(int(due), device=self.trainer.args.device)))

    def on_epoch_end(self, args, state, control, **kwargs):
        control.should_save = True  # the Trainer evaluates before it saves


def _with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
