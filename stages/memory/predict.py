"""Peak memory of training, predicted by counting tensors instead of allocating them."""

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from peft_extras.awp import AdversarialWeightPerturbation, Move
from stages.classifier.four_bit_shapes import fake_copy
from stages.classifier.low_precision import in_precision
from stages.memory.inputs import RandomInputs
from stages.memory.recompute import recompute_activations
from stages.memory.step import awp_arguments, make_optimizer, micro_batch_loss
from stages.memory.tracker import ACTIVATIONS, AWP, GRADIENTS, INPUTS, OPTIMIZER, WEIGHTS, MemoryTracker, Timeline
from stages.project.schema import AwpParams

MIB = 2**20
SHORTEST = 3  # tokens of the pass that only creates gradients and optimizer state
PRIMES = (37, 41, 43, 47, 53, 59, 61, 67, 71, 73)  # micro-batches from which others are told, see `MemoryTracker`


@dataclass(frozen=True)
class PredictedMemory:
    """Bytes allocated at the peak of a training step, by what they hold.

    Attributes:
        weights: all parameters, trained or frozen, and buffers.
        gradients: of the trained parameters; while a new one is added to an existing one, both count, and so do those that
            give AWP its direction.
        optimizer_state: AdamW's two moments and its step counter.
        activations: what the forward pass keeps for the backward pass, and their gradients. With autocast also the copies of
            weights in the low precision.
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
    precision: str = "fp32",
) -> dict[int, PredictedMemory]:
    """Return the predicted memory of training `model` by micro-batch size, at `length` tokens: see `MemoryPredictor`."""
    with MemoryPredictor(model, inputs, length, precision) as predictor:
        return {size: predictor.predict(size, accumulate, awp) for size in sorted(set(micro_batch_sizes))}


class MemoryPredictor:
    """Predicts the memory of training steps of one model, any number of them, in a `with` block.

    Fake tensors, which have shapes and lifetimes but no contents, replace the model's tensors in a copy; `MemoryTracker` adds up
    what is alive. Memory at each moment is affine in the micro-batch, so one pass tells all sizes from 2 on, and a question asked
    again is answered without one. The optimizer's state is made once, after the first pass. Predictions do not depend on those
    before. The model itself does not change.

    Args:
        length: tokens per text.
        precision: `train.precision`, of the forward and backward pass.
    """

    def __init__(self, model: nn.Module, inputs: RandomInputs, length: int, precision: str = "fp32"):
        self.inputs, self.length = inputs, length
        self._mode = FakeTensorMode()
        self._model = fake_copy(model, self._mode).train()
        self._forward = in_precision(self._model, precision, inputs.device)
        self._embeddings = [module.weight for module in self._model.modules() if isinstance(module, nn.Embedding)]
        self._timelines: dict[object, Timeline] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_only_new_garbage())
            stack.enter_context(self._mode)
            self._optimizer = make_optimizer(self._model)
            self._tracker = stack.enter_context(MemoryTracker())
            self._tracker.watch(self._model)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def recompute(self) -> None:
        """From now on predict steps with gradient checkpointing.

        Raises:
            UserError: the family does not support it.
        """
        recompute_activations(self._model)
        self._timelines.clear()

    def predict(self, micro_batch_size: int, accumulate: bool, awp: bool | AwpParams = False) -> PredictedMemory:
        """Return the memory of one micro-batch forward and backward.

        Args:
            accumulate: whether an earlier micro-batch has left gradients, as with accumulation over two or more.
            awp: whether adversarial weight perturbation acts in the step, on the trainable weights, or how it moves the weights.
        """
        texts = self._probe(micro_batch_size, awp)
        case = texts or micro_batch_size, accumulate, awp if isinstance(awp, bool) else awp.model_dump_json()
        if case not in self._timelines:
            self._timelines[case] = self._pass(texts or micro_batch_size, bool(texts), accumulate, awp)
        held = self._timelines[case].peak(micro_batch_size)
        return PredictedMemory(*(held[kind] for kind in (WEIGHTS, GRADIENTS, OPTIMIZER, ACTIVATIONS, AWP, INPUTS)))

    def _probe(self, size: int, awp: bool | AwpParams) -> int | None:
        """Return a number of texts from whose memory that of `size` follows, or None if `size` must be run itself.

        A dimension of 1 lets PyTorch skip copies, on CUDA blocks are rounded up, and with AWP from some size on all rows of an
        embedding move: then memory is not affine.
        """
        if size == 1 or self.inputs.device.type == "cuda":
            return None
        tensors = [*self._model.parameters(), *self._model.buffers()]
        numbers = {self.length, *(number for tensor in tensors for number in (*tensor.shape, tensor.nbytes) if number)}
        frozen_too = isinstance(awp, AwpParams) and awp.target == "all"
        moving = {len(weight) for weight in self._embeddings if awp and (weight.requires_grad or frozen_too)}
        for prime in PRIMES:
            alike = all((size * self.length < rows) == (prime * self.length < rows) for rows in moving)
            if alike and all(number % prime for number in numbers):
                return prime
        return None

    def _pass(self, texts: int, is_probe: bool, accumulate: bool, awp: bool | AwpParams) -> Timeline:
        if not accumulate:  # the pass before this one has left gradients
            self._optimizer.zero_grad()
        elif not self._optimizer.state:
            self._run((1, min(SHORTEST, self.length)), False)
        self._tracker.begin(texts if is_probe else None)
        self._run((texts, self.length), awp)
        timeline = self._tracker.timeline()
        self._tracker.begin(None)
        if not self._optimizer.state:  # it would have been there all the time
            timeline.add(OPTIMIZER, self._step())
        return timeline

    def _step(self) -> int:
        """Take the optimizer's first step and return the bytes of its state."""
        self._tracker.kind = OPTIMIZER
        self._optimizer.step()
        self._tracker.kind = ACTIVATIONS
        return sum(tensor.nbytes for state in self._optimizer.state.values() for tensor in state.values())

    def _run(self, shape: tuple[int, int], awp: bool | AwpParams) -> None:
        """Run a micro-batch (texts, tokens) forward and backward."""
        batch, labels = self.inputs.batch(*shape), self.inputs.labels(shape[0])
        self._tracker.hold(INPUTS, [*batch.values(), labels])

        def loss() -> torch.Tensor:
            return micro_batch_loss(self._forward, batch, labels)

        if awp:
            arguments = {"epsilon": 1.0} if awp is True else awp_arguments(awp)
            with _FakePerturbation(self._model, self._tracker, shape[0] * shape[1], arguments).perturbed(loss):
                loss().backward()
        else:
            loss().backward()
        gc.collect()  # hooks and fake tensors may form reference cycles, whose lifetime would be arbitrary


class _FakePerturbation(AdversarialWeightPerturbation):
    """AWP on tensors without contents: an embedding moves as many rows as the batch has tokens, as if all tokens differed.

    Args:
        arguments: how the weights move.
    """

    def __init__(self, model: nn.Module, tracker: MemoryTracker, tokens: int, arguments: dict[str, Any]):
        super().__init__(model, **arguments)
        self.tracker, self.tokens = tracker, tokens

    def _rows(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.arange(min(self.tokens, len(gradient)), device=gradient.device)

    def _record(self, moves: Sequence[Move]) -> bool:
        self.tracker.hold(AWP, (move.original for move in moves))
        gc.collect()
        return True


@contextlib.contextmanager
def _only_new_garbage() -> Iterator[None]:
    """Let the garbage collector look at new objects only: the libraries' million objects take it 0.4 s each time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


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
