"""Peak memory of training, predicted by counting tensors instead of allocating them."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from stages.measuring.inputs import RandomInputs
from stages.measuring.training_step import make_optimizer, micro_batch_loss

MIB = 2**20
SHORTEST = 3  # tokens of the pass that only serves to create gradients and optimizer state


@dataclass(frozen=True)
class PredictedMemory:
    """Bytes allocated at the moment of the peak of a training step, by what they hold.

    Attributes:
        weights: all parameters, trained or frozen, and buffers.
        gradients: of the trained parameters; while one arrives at a parameter that has one already, both count.
        optimizer_state: AdamW's two moments and its step counter.
        activations: what the forward pass keeps for the backward pass, and the gradients of it.
        inputs: token ids, masks and labels.
    """

    weights: int
    gradients: int
    optimizer_state: int
    activations: int
    inputs: int

    @property
    def peak(self) -> int:
        return self.weights + self.gradients + self.optimizer_state + self.activations + self.inputs


def predict_training_memory(
    model: nn.Module, inputs: RandomInputs, micro_batch_sizes: Sequence[int], length: int, accumulate: bool
) -> dict[int, PredictedMemory]:
    """Return the predicted memory of training `model` by micro-batch size, at `length` tokens.

    The model's tensors are replaced by fake ones, which have shapes and lifetimes but no contents; PyTorch's `MemTracker`
    adds up what is alive. A first step on a tiny micro-batch creates the optimizer's state. Then one micro-batch of each
    size runs, smallest first: the peak so far then is the peak of the size at hand. `model` itself is not changed.

    Args:
        accumulate: whether gradients of an earlier micro-batch are there already, as with accumulation over two or more.
    """
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        fake = copy.deepcopy(model)
    _turn_frozen_parameters_into_buffers(fake.train())
    sizes = sorted(set(micro_batch_sizes))
    predictions = {}
    with mode, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracker's remarks on modules that live for one call
        optimizer = make_optimizer(fake)
        tracker = MemTracker()
        tracker.track_external(fake)
        with tracker:
            _run_micro_batch(fake, tracker, inputs, (sizes[0], min(SHORTEST, length)))
            optimizer.step()
            for size in sizes:
                if not accumulate:
                    optimizer.zero_grad()
                _run_micro_batch(fake, tracker, inputs, (size, length))
                predictions[size] = _read_peak(tracker, inputs.device)
    return predictions


def _turn_frozen_parameters_into_buffers(model: nn.Module) -> None:
    """The tracker hooks every parameter's gradient and fails at one that has none; a buffer takes the same memory."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, parameter.detach())


def _run_micro_batch(model: nn.Module, tracker: MemTracker, inputs: RandomInputs, shape: tuple[int, int]) -> None:
    batch, labels = inputs.batch(*shape), inputs.labels(shape[0])
    tracker.track_external(*batch.values(), labels)
    micro_batch_loss(model, batch, labels).backward()
    tracker.reset_mod_stats()  # it refuses a second pass over the same modules otherwise


def _read_peak(tracker: MemTracker, device: torch.device) -> PredictedMemory:
    snapshot = tracker.get_tracker_snapshot("peak")[device]
    held = {getattr(kind, "value", kind): held_bytes for kind, held_bytes in snapshot.items()}
    memory = PredictedMemory(
        weights=held["Parameter"] + held["Buffer"],
        gradients=held["Gradient"],
        optimizer_state=held["Optstate"],
        activations=held["Activation"] + held["Temp"],
        inputs=held["Other"],
    )
    if memory.peak != held["Total"]:
        raise AssertionError(f"the parts add up to {memory.peak} bytes, the tracker's total is {held['Total']}: {held}")
    return memory


def memory_metrics(predictions: Mapping[int, PredictedMemory], micro_batch_size: int) -> dict:
    """The numbers of metrics/memory.json for one method: MiB in full at `micro_batch_size`, peak and activations at all sizes."""
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
