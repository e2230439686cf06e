"""Peak memory of training, predicted by counting tensors instead of allocating them."""

import contextlib
import copy
import gc
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from peft_extras.awp import AdversarialWeightPerturbation, Move
from stages.memory.inputs import RandomInputs
from stages.memory.step import awp_arguments, make_optimizer, micro_batch_loss
from stages.project.schema import AwpParams

MIB = 2**20
_FROZEN = "_names_of_frozen_parameters"  # attribute of the copy
SHORTEST = 3  # tokens of the pass that only creates gradients and optimizer state


@dataclass(frozen=True)
class PredictedMemory:
    """Bytes allocated at the peak of a training step, by what they hold.

    Attributes:
        weights: all parameters, trained or frozen, and buffers.
        gradients: of the trained parameters; while a new one is added to an existing one, both count, and so do those that
            give AWP its direction.
        optimizer_state: AdamW's two moments and its step counter.
        activations: what the forward pass keeps for the backward pass, and their gradients.
        awp_buffer: copies of the weights while AWP has moved them.
        inputs: token ids, masks and labels.
    """

    weights: int
    gradients: int
    optimizer_state: int
    activations: int
    awp_buffer: int
    inputs: int

    @property
    def peak(self) -> int:
        return self.weights + self.gradients + self.optimizer_state + self.activations + self.awp_buffer + self.inputs


def predict_training_memory(
    model: nn.Module,
    inputs: RandomInputs,
    micro_batch_sizes: Sequence[int],
    length: int,
    accumulate: bool,
    awp: bool | AwpParams = False,
) -> dict[int, PredictedMemory]:
    """Return the predicted memory of training `model` by micro-batch size, at `length` tokens: see `MemoryPredictor`."""
    with MemoryPredictor(model, inputs, length) as predictor:
        return {size: predictor.predict(size, accumulate, awp) for size in sorted(set(micro_batch_sizes))}


class MemoryPredictor:
    """Predicts the memory of training steps of one model, any number of them, in a `with` block.

    Fake tensors, which have shapes and lifetimes but no contents, replace the model's tensors in a copy; PyTorch's
    `MemTracker` adds up what is alive. On entry a first step on a tiny micro-batch creates the optimizer's state, once for all
    predictions: they do not depend on those before. The model itself does not change.

    Args:
        length: tokens per text.

    Attributes:
        model: the copy, which may be made to recompute its activations between two predictions.
    """

    def __init__(self, model: nn.Module, inputs: RandomInputs, length: int):
        self.inputs, self.length = inputs, length
        self._mode = FakeTensorMode()
        with FakeCopyMode(self._mode):
            self.model = copy.deepcopy(model).train()
        _turn_frozen_parameters_into_buffers(self.model)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_only_new_garbage())
            stack.enter_context(self._mode)
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # the tracker warns about modules that live for one call
            self._optimizer = make_optimizer(self.model)
            self._tracker = _PeakTracker()
            self._tracker.track_external(self.model)
            stack.enter_context(self._tracker)
            _run_micro_batch(self.model, self._tracker, self.inputs, (1, min(SHORTEST, self.length)))
            self._optimizer.step()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def predict(self, micro_batch_size: int, accumulate: bool, awp: bool | AwpParams = False) -> PredictedMemory:
        """Return the memory of one micro-batch forward and backward.

        Args:
            accumulate: whether an earlier micro-batch has left gradients, as with accumulation over two or more.
            awp: whether adversarial weight perturbation acts in the step, on the trainable weights, or how it moves the weights.
        """
        if not accumulate:  # the pass before this one has left gradients
            self._optimizer.zero_grad()
        self._tracker.reset_peak()
        input_bytes = _run_micro_batch(self.model, self._tracker, self.inputs, (micro_batch_size, self.length), awp)
        return _read_peak(self._tracker, self.inputs.device, input_bytes)


class _PeakTracker(MemTracker):
    """PyTorch's tracker without the peaks of single modules, which are not used here and take four fifths of its time."""

    def get_tracker_snapshot(self, type: str = "current") -> dict:
        """Copies of the numbers, as in PyTorch's method, whose `deepcopy` takes a tenth of a prediction."""
        snapshot = self._peak_mem_snap if type == "peak" else self._curr_mem_snap
        return {device: dict(held) for device, held in snapshot.items()}

    def reset_peak(self) -> None:
        self._peak_mem.clear()
        self._peak_mem_snap.clear()

    def forget_pass(self) -> None:
        """Drop everything that belongs to the last pass, so that the same modules can run again."""
        self.reset_mod_stats()
        gc.collect()  # hooks and fake tensors may form reference cycles, whose lifetime would be arbitrary

    def _update_peak_stats(self, peak_state: object) -> None:
        for device, now in self._curr_mem_snap.items():
            if self._peak_mem.get(device, 0) < now["Total"]:
                self._peak_mem[device] = now["Total"]
                self._peak_mem_snap[device] = dict(now)


class _FakePerturbation(AdversarialWeightPerturbation):
    """AWP on tensors without contents: an embedding moves as many rows as the batch has tokens, as if all tokens differed.

    Args:
        arguments: how the weights move; frozen ones, if they do, are buffers here.
    """

    def __init__(self, model: nn.Module, tracker: _PeakTracker, tokens: int, arguments: dict[str, Any]):
        super().__init__(model, **arguments)
        self.tracker, self.tokens = tracker, tokens

    def _candidates(self, model: nn.Module) -> list[torch.Tensor]:
        frozen = getattr(model, _FROZEN)
        return [*super()._candidates(model), *(buffer for name, buffer in model.named_buffers() if name in frozen)]

    def _rows(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.arange(min(self.tokens, len(gradient)), device=gradient.device)

    def _record(self, moves: Sequence[Move]) -> bool:
        self.tracker.track_external(*(move.original for move in moves))
        self.tracker.forget_pass()
        return True


@contextlib.contextmanager
def _only_new_garbage() -> Iterator[None]:
    """Let the garbage collector look at new objects only: the libraries' million objects take it 0.4 s each time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _turn_frozen_parameters_into_buffers(model: nn.Module) -> None:
    """The tracker hooks every parameter's gradient and fails if there is none; a buffer takes the same memory."""
    setattr(model, _FROZEN, {name for name, parameter in model.named_parameters() if not parameter.requires_grad})
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, parameter.detach())


def _run_micro_batch(
    model: nn.Module, tracker: _PeakTracker, inputs: RandomInputs, shape: tuple[int, int], awp: bool | AwpParams = False
) -> int:
    """Run a micro-batch forward and backward and return the bytes of its inputs."""
    batch, labels = inputs.batch(*shape), inputs.labels(shape[0])
    tracker.track_external(*batch.values(), labels)

    def loss() -> torch.Tensor:
        return micro_batch_loss(model, batch, labels)

    if awp:
        arguments = {"epsilon": 1.0} if awp is True else awp_arguments(awp)
        with _FakePerturbation(model, tracker, shape[0] * shape[1], arguments).perturbed(loss):
            loss().backward()
    else:
        loss().backward()
    tracker.forget_pass()
    return sum(tensor.nbytes for tensor in (*batch.values(), labels))


def _read_peak(tracker: MemTracker, device: torch.device, input_bytes: int) -> PredictedMemory:
    snapshot = tracker.get_tracker_snapshot("peak")[device]
    held = {getattr(kind, "value", kind): held_bytes for kind, held_bytes in snapshot.items()}
    memory = PredictedMemory(
        weights=held["Parameter"] + held["Buffer"],
        gradients=held["Gradient"],
        optimizer_state=held["Optstate"],
        activations=held["Activation"] + held["Temp"],
        awp_buffer=held["Other"] - input_bytes,
        inputs=input_bytes,
    )
    if memory.peak != held["Total"]:
        raise AssertionError(f"the parts add up to {memory.peak} bytes, the tracker's total is {held['Total']}: {held}")
    return memory


def memory_metrics(predictions: Mapping[int, PredictedMemory], micro_batch_size: int) -> dict:
    """One method's numbers in metrics/memory.json: all parts (MiB) at `micro_batch_size`, peak and activations at every size."""
    memory = predictions[micro_batch_size]
    by_size = {f"micro_batch_{size}": prediction for size, prediction in predictions.items()}
    return {
        "peak_training_memory_mib": _mib(memory.peak),
        "weights_mib": _mib(memory.weights),
        "gradients_mib": _mib(memory.gradients),
        "optimizer_state_mib": _mib(memory.optimizer_state),
        "activations_mib": _mib(memory.activations),
        "inputs_mib": _mib(memory.inputs),
        "optimizer_state_bytes": memory.optimizer_state,
        "peak_mib_by_micro_batch": {name: _mib(prediction.peak) for name, prediction in by_size.items()},
        "activations_mib_by_micro_batch": {name: _mib(prediction.activations) for name, prediction in by_size.items()},
    }


def _mib(number_of_bytes: int) -> float:
    return round(number_of_bytes / MIB, 3)
