"""The file from which an interrupted training resumes: replaced atomically, and used by exactly the same training only."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from stages.project.paths import SAVE_POINTS, queued_from

KEPT = 4  # save points of queued experiments that were killed


@dataclass(frozen=True)
class Saved:
    """The state of a training: tensors by name, and everything else as JSON values."""

    tensors: dict[str, torch.Tensor]
    state: dict


def save_point_of(method: str, inputs: dict[str, str]) -> "SavePoint":
    """Return the save point of the training of `method` with these inputs.

    In a checkout that is one file per method. An experiment of DVC's queue runs in a folder below .dvc/tmp/exps, which DVC
    deletes when it fails: its state is kept in the checkout itself, under a name of its own, so that the same experiment
    resumes when it is queued again.
    """
    checkout = queued_from()
    if checkout is None:
        return SavePoint(SAVE_POINTS / f"{method}.safetensors", inputs)
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    return SavePoint(checkout / SAVE_POINTS / "queue" / f"{method}-{key}.safetensors", inputs, KEPT)


class SavePoint:
    """One safetensors file that holds the last saved state of one training.

    It never holds code (no pickle). A path has at most one: a training with different inputs replaces it.

    Args:
        path: the file, outside the stage's outs, which DVC deletes before the stage runs.
        inputs: everything that determines the result (`stages.project.provenance.stage_inputs`); a state saved with different
            inputs is not used.
        kept: how many save points the folder may hold, None for any number; `write` removes the oldest ones.
    """

    def __init__(self, path: Path, inputs: dict[str, str], kept: int | None = None):
        self.path = path
        self.inputs = inputs
        self.kept = kept

    def read(self, attempts: int = 3) -> Saved | None:
        """Return the saved state, or None if there is none, it is damaged, or it belongs to different inputs (printed).

        It is read again if it is replaced meanwhile: after `dvc queue kill` the training ends a moment later than DVC.
        """
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                content = json.loads(file.metadata()["content"])
                changed = self._changed(content["inputs"])
                if changed:
                    print(f"{self.path}: saved by another training, which differs in {changed}; starting from the beginning")
                    return None
                return Saved({name: file.get_tensor(name) for name in file.keys()}, content["state"])  # noqa: SIM118
        except (SafetensorError, KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and attempts > 1:  # the header of one file, the data of the next
                return self.read(attempts - 1)
            print(f"{self.path}: no usable state ({type(error).__name__}: {error}); starting from the beginning")
            return None

    def _changed(self, inputs: dict[str, str]) -> str:
        names = [name for name in self.inputs.keys() | inputs.keys() if self.inputs.get(name) != inputs.get(name)]
        return ", ".join(sorted(names))

    def write(self, saved: Saved) -> None:
        """Replace the file by `saved`, or leave it unchanged on an error.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / self.path.name
        content = json.dumps({"inputs": self.inputs, "state": saved.state})
        try:
            self._folder.mkdir(exist_ok=True)
            # one metadata key, because safetensors writes several in random order
            save_file({name: tensor.contiguous() for name, tensor in saved.tensors.items()}, temporary, {"content": content})
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            self._remove_oldest()
        except SafetensorError as error:
            raise OSError(f"{temporary}: {error}") from error
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def remove(self) -> None:
        """Delete the state: the training has ended and its results are written."""
        self.path.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)  # left by a process that was killed while writing

    def _remove_oldest(self) -> None:
        if self.kept is not None:
            beside = sorted(self.path.parent.glob(f"*{self.path.suffix}"), key=lambda path: path.stat().st_mtime)
            for path in beside[: -self.kept]:
                path.unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        """Where a new file is written: a folder, because safetensors first writes a temporary file, which a kill leaves there."""
        return self.path.with_suffix(".tmp")
