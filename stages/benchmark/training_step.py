"""One optimizer step of a method as in training: accumulated micro-batches, clipping, fused AdamW, plain or with AWP.

Mixout is left out: it acts only on the head, and its time and memory are too small to measure.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn
from tqdm import tqdm

from peft_extras.awp import AdversarialWeightPerturbation
from stages.benchmark.protocol import median_milliseconds, synchronizer, time_interleaved
from stages.classifier.low_precision import in_precision
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.step import awp_arguments, make_optimizer, micro_batch_loss
from stages.project.schema import AwpParams

STEP_REPEATS = 6  # rounds; three methods, each plain and with AWP, are six calls: each is once in every position
STEP_WARMUP = 1

MicroBatch = tuple[Mapping[str, torch.Tensor], torch.Tensor]  # the model's inputs, and labels (B,)


class TrainingStep:
    """Takes optimizer steps of one model, which it puts into training mode.

    Args:
        max_grad_norm: the norm to which the gradient is clipped.
        awp: how AWP moves the weights in the steps that use it.
        precision: `train.precision`; in fp16 the loss is scaled, as in training.
    """

    def __init__(self, model: nn.Module, max_grad_norm: float, awp: AwpParams, precision: str = "fp32"):
        self.model = model.train()
        self.device = next(model.parameters()).device
        self.forward = in_precision(model, precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(model)
        self.max_grad_norm = max_grad_norm
        self.awp = AdversarialWeightPerturbation(model, **awp_arguments(awp))

    def take(self, micro_batches: Sequence[MicroBatch], awp: bool) -> None:
        """Run each micro-batch forward and backward, twice with `awp`, then clip the gradient and step."""
        for batch, labels in micro_batches:
            loss = partial(self._loss, batch, labels, len(micro_batches))
            if awp:
                with self.awp.perturbed(loss):
                    loss().backward()
            else:
                loss().backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.trainable, self.max_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

    def _loss(self, batch: Mapping[str, torch.Tensor], labels: torch.Tensor, micro_batches: int) -> torch.Tensor:
        return self.scaler.scale(micro_batch_loss(self.forward, batch, labels) / micro_batches)


def time_training_steps(
    steps: Mapping[str, TrainingStep],
    inputs: RandomInputs,
    batching: Batching,
    length: int,
    repeats: int = STEP_REPEATS,
) -> dict[str, dict[str, float]]:
    """Return by method the median time of a step in ms, {"plain": ..., "awp": ...}, on micro-batches of `length` tokens."""
    rounds = tqdm(total=(repeats + STEP_WARMUP) * 2 * len(steps), desc="training step", unit="step", disable=None)

    def take(name: str, awp: bool) -> None:
        size = batching.micro_batch_size
        steps[name].take([(inputs.batch(size, length), inputs.labels(size))] * batching.accumulation_steps, awp)
        rounds.update()

    calls = {(name, kind): partial(take, name, kind == "awp") for name in steps for kind in ("plain", "awp")}
    with rounds:
        seconds = time_interleaved(calls, repeats, STEP_WARMUP, synchronizer(inputs.device))
    medians = median_milliseconds(seconds)
    return {name: {kind: medians[name, kind] for kind in ("plain", "awp")} for name in steps}
