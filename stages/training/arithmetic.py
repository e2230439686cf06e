"""How much arithmetic a training asked for, and which share of the machine's matrix rate it reached: printed, never written."""

import time
from collections import Counter
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.classifier.faster.apply import set_attention
from stages.classifier.four_bit import Packed
from stages.classifier.four_bit_shapes import fake_copy
from stages.project.durations import in_words
from stages.project.processes import process_count

SHORTEST = 10.0  # seconds of training below which nothing is said: loading code into the caches would count as training
SAMPLES = (4, 8, 12)  # tokens; three lengths determine a polynomial of degree 2
MEASURED = 0.4  # seconds for the machine's rate

Shape = tuple[int, int, tuple[bool, ...]]  # texts B, tokens T, and for each parameter whether it gets a gradient


class Arithmetic(TrainerCallback):
    """Counts the forward and backward passes of a training and the time of its steps, of this process only.

    A resumed training counts from where it resumed. Validation counts for neither, and gradient checkpointing for its time
    only: what it computes again is no arithmetic that the training asked for.

    Attributes:
        passes: how many there were of each shape; AWP's first pass is one like any other.
        seconds: of the optimizer steps, from the first micro-batch to the update.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self.passes: Counter[Shape] = Counter()
        self.seconds = 0.0
        self._started: float | None = None
        self._hook = model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, model: nn.Module, arguments: tuple, inputs: dict[str, Any]) -> None:
        if model.training and torch.is_grad_enabled() and "input_ids" in inputs:
            texts, tokens = inputs["input_ids"].shape
            self.passes[texts, tokens, tuple(weight.requires_grad for weight in model.parameters())] += 1

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._started = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._started is not None:
            self.seconds += time.monotonic() - self._started

    def stop(self) -> None:
        """Count no more."""
        self._hook.remove()

    def operations(self) -> int:
        """Floating-point operations of the matrix products in all passes, multiplications and additions each as one."""
        total = 0
        for trained in {shape[2] for shape in self.passes}:
            polynomial = pass_operations(self.model, trained)
            total += sum(
                texts * sum(factor * tokens**power for power, factor in enumerate(polynomial)) * times
                for (texts, tokens, flags), times in self.passes.items()
                if flags == trained
            )
        return total

    def sentence(self, dtype: torch.dtype = torch.float32) -> str | None:
        """Return what the training asked for and what it reached of the machine's rate in `dtype`; None if it was too short."""
        if self.seconds < SHORTEST:
            return None
        operations = self.operations()
        rows = sum(texts * tokens * times for (texts, tokens, _), times in self.passes.items()) // sum(self.passes.values())
        reached, possible = operations / self.seconds, matrix_rate(self.model, rows, dtype)
        whose = f" of one of {process_count()} processes" if process_count() > 1 else ""
        return (
            f"arithmetic: {operations / 1e12:,.1f} TFLOP in matrix products{whose}, {in_words(self.seconds)} of training steps: "
            f"{reached / 1e9:,.0f} GFLOP/s, {100 * reached / possible:.0f} % of the {possible / 1e9:,.0f} GFLOP/s that such "
            "products alone reach here"
        )


def pass_operations(model: nn.Module, trained: tuple[bool, ...]) -> tuple[int, int, int]:
    """Return (a, b, c): a forward and backward pass over B texts of T tokens takes B (a + b T + c T^2) operations.

    They are counted on tensors without contents: what enters is what the matrix products of the pass do, a product of (m, k)
    and (k, n) being 2 m k n operations. The head's are in a, those of the linear layers in b, those of attention in c.

    Args:
        trained: for each parameter of `model`, in its order, whether the pass computes its gradient.
    """
    mode = FakeTensorMode()
    fake = fake_copy(model, mode).train()
    base = fake.get_base_model() if isinstance(fake, PeftModel) else fake
    if isinstance(base, PreTrainedModel):
        if base.is_activation_checkpointing:
            base.activation_checkpointing_disable()
        set_attention(base, "eager")  # products of matrices, which are counted; a fused kernel is not everywhere
    for weight, needed in zip(fake.parameters(), trained, strict=True):
        weight.requires_grad_(needed)
    counts = []
    with mode:
        device = next(fake.parameters()).device
        for tokens in SAMPLES:
            ids = torch.ones(2, tokens, dtype=torch.long, device=device)
            with FlopCounterMode(display=False) as counter:
                fake(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.sum().backward()
            counts.append(counter.get_total_flops() / 2)
    a, b, c = np.linalg.solve(np.vander(SAMPLES, increasing=True), counts).round().astype(int).tolist()
    return a, b, c


def matrix_rate(model: nn.Module, rows: int, dtype: torch.dtype, seconds: float = MEASURED) -> float:
    """Return the operations per second of the best of some products of (rows, k) and (k, n), (n, k) being the largest layer's.

    It is what this process, with its threads, can reach with nothing beside the product, measured for `seconds`.
    """
    layers = (module for module in model.modules() if isinstance(module, nn.Linear | Packed))
    largest = max(layers, key=lambda layer: layer.in_features * layer.out_features)
    shape, device = (largest.out_features, largest.in_features), largest.weight.device
    states = torch.linspace(-1, 1, rows * shape[1], device=device).view(rows, -1).to(dtype)
    weight = torch.linspace(-1, 1, shape[0] * shape[1], device=device).view(shape).to(dtype)
    best, end = float("inf"), time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        for _ in range(3):
            product = states @ weight.T
        product[0, 0].item()  # waits for the device
        best = min(best, (time.monotonic() - started) / 3)
    return 2 * rows * weight.numel() / best
