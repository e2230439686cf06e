"""What is alive at each moment of a training step, as a function of the micro-batch size."""

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

WEIGHTS, GRADIENTS, OPTIMIZER, ACTIVATIONS, AWP, INPUTS = range(6)  # what a storage holds
KINDS = 6
_PER_TEXT = 1 << 64  # bytes that grow with the micro-batch are counted in this unit, the others in units of 1
_CUDA_BLOCK = 512  # bytes; PyTorch's allocator on CUDA rounds each block up to a multiple


class Timeline:
    """Bytes alive after each allocation of one pass, by kind: a + b s at micro-batch size s.

    Attributes:
        fixed, per_text: a and b, shape (moments, KINDS).
    """

    def __init__(self, moments: Sequence[tuple[int, ...]]):
        self.fixed = np.array([[held % _PER_TEXT for held in moment] for moment in moments], dtype=np.int64)
        self.per_text = np.array([[held // _PER_TEXT for held in moment] for moment in moments], dtype=np.int64)

    def add(self, kind: int, number: int) -> None:
        """Count `number` more bytes of `kind` at every moment."""
        self.fixed[:, kind] += number

    def peak(self, size: int) -> list[int]:
        """Bytes by kind at the first moment at which most are alive, with `size` texts."""
        held = self.fixed + size * self.per_text
        moment = held[held.sum(axis=1).argmax()]
        return [int(part) for part in moment]


class _Storage(weakref.ref):
    """A live storage: what it holds, and its bytes."""

    __slots__ = ("held", "key", "kind")
    key: int
    kind: int
    held: int


class MemoryTracker(TorchDispatchMode):
    """Adds up the storages that the operations inside a `with` block create, from their creation until they are freed.

    A pass that is run at one size tells the memory of others. Its micro-batch is a prime number of texts, which divides no
    dimension of the model: bytes that it divides belong to tensors with one row for each text, and grow in proportion.

    Views share the storage of their base, and count once. What an operation allocates and frees inside is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kind = ACTIVATIONS  # of what operations create now
        self._texts: int | None = None
        self._storages: dict[int, _Storage] = {}
        self._now = [0] * KINDS
        self._moments: list[tuple[int, ...]] = []

    def begin(self, texts: int | None) -> None:
        """Start a new timeline; `texts` is the micro-batch from which others are told, or None if this one alone counts."""
        self._texts = texts
        self._moments = [tuple(self._now)]

    def timeline(self) -> Timeline:
        return Timeline(self._moments)

    def hold(self, kind: int, tensors: Iterable[torch.Tensor]) -> None:
        """From now on count `tensors` as `kind`."""
        for tensor in tensors:
            storage = self._storage(tensor, kind)
            self._now[storage.kind] -= storage.held
            self._now[kind] += storage.held
            storage.kind = kind

    def watch(self, model: nn.Module) -> None:
        """Count the weights of `model`, and as gradients what its trained parameters receive."""
        self.hold(WEIGHTS, [*model.parameters(), *model.buffers()])
        for weight in model.parameters():
            if weight.requires_grad:
                weight.register_hook(self._receive)
                weight.register_post_accumulate_grad_hook(lambda trained: self._receive(trained.grad))

    def _receive(self, gradient: torch.Tensor | None) -> None:
        assert gradient is not None
        self.hold(GRADIENTS, [gradient])

    def _storage(self, tensor: torch.Tensor, kind: int) -> _Storage:
        storage = tensor.untyped_storage()
        known = self._storages.get(id(storage))
        if known is None:
            known = _Storage(storage, self._free)
            known.key, known.kind, known.held = id(storage), kind, self._bytes(storage)
            self._storages[known.key] = known
            self._now[kind] += known.held
            self._moments.append(tuple(self._now))
        return known

    def _bytes(self, storage: torch.UntypedStorage) -> int:
        number = storage.nbytes()
        if self._texts and number % self._texts == 0:
            return number // self._texts * _PER_TEXT
        return -(-number // _CUDA_BLOCK) * _CUDA_BLOCK if storage.device.type == "cuda" else number

    def _free(self, storage: _Storage) -> None:
        self._now[storage.kind] -= storage.held
        del self._storages[storage.key]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self._storage(result, self.kind)
        elif isinstance(result, tuple | list):
            for part in result:
                if isinstance(part, torch.Tensor):
                    self._storage(part, self.kind)
        return result
