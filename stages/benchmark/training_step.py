"""One optimizer step of a method as training does it: accumulated micro-batches, clipping, fused AdamW, plain or with AWP.

Mixout is left out: it acts on the head alone, and neither its time nor its memory shows.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from tqdm import tqdm

from stages.benchmark.protocol import median_milliseconds, synchronizer, time_interleaved
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.step import make_optimizer, micro_batch_loss
from stages.regularization.awp import AdversarialWeightPerturbation

STEP_REPEATS = 6  # rounds; with three methods, each plain and with AWP, every call comes once in every position
STEP_WARMUP = 1

MicroBatch = tuple[Mapping[str, torch.Tensor], torch.Tensor]  # what the model takes, and labels (B,)


class TrainingStep:
    """Takes optimizer steps of one model, which is put into training mode.

    Args:
        max_grad_norm: the gradient's norm is clipped to it.
        epsilon: relative size of AWP's perturbation, where a step is taken with it.
    """

    def __init__(self, model: nn.Module, max_grad_norm: float, epsilon: float):
        self.model = model.train()
        self.trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(model)
        self.max_grad_norm = max_grad_norm
        self.awp = AdversarialWeightPerturbation(model, epsilon)

    def take(self, micro_batches: Sequence[MicroBatch], awp: bool) -> None:
        """Run each micro-batch forward and backward, with `awp` each of them twice, then clip the gradient and step."""
        for batch, labels in micro_batches:

            def loss(batch=batch, labels=labels) -> torch.Tensor:
                return micro_batch_loss(self.model, batch, labels) / len(micro_batches)

            if awp:
                with self.awp.perturbed(loss):
                    loss().backward()
            else:
                loss().backward()
        nn.utils.clip_grad_norm_(self.trainable, self.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()


def time_training_steps(
    steps: Mapping[str, TrainingStep],
    inputs: RandomInputs,
    batching: Batching,
    length: int,
    repeats: int = STEP_REPEATS,
) -> dict[str, dict[str, float]]:
    """Return the median time in ms of a step by method, as {"plain": ..., "awp": ...}, on micro-batches of `length` tokens."""
    rounds = tqdm(total=(repeats + STEP_WARMUP) * 2 * len(steps), desc="training step", unit="step", disable=None)

    def take(name: str, awp: bool) -> None:
        size = batching.micro_batch_size
        steps[name].take([(inputs.batch(size, length), inputs.labels(size))] * batching.accumulation_steps, awp)
        rounds.update()

    calls = {(name, kind): lambda name=name, kind=kind: take(name, kind == "awp") for name in steps for kind in ("plain", "awp")}
    with rounds:
        seconds = time_interleaved(calls, repeats, STEP_WARMUP, synchronizer(inputs.device))
    medians = median_milliseconds(seconds)
    return {name: {kind: medians[name, kind] for kind in ("plain", "awp")} for name in steps}
