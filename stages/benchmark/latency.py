"""Latency of one forward pass by batch size and length, and throughput on real texts."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from datasets import Dataset
from torch import nn
from tqdm import tqdm

from stages.benchmark.arms import REFERENCE
from stages.benchmark.protocol import synchronizer, time_interleaved
from stages.benchmark.statistics import Ratio, median, paired_ratio, percentile
from stages.classifier.inference import predict_logits
from stages.classifier.low_precision import in_precision
from stages.memory.inputs import RandomInputs
from stages.project.schema import BenchmarkParams

THROUGHPUT_ROUNDS = 2


@dataclass(frozen=True)
class Latency:
    """Latency of one arm at one shape: times in milliseconds, `ratio` to the reference arm in the same round."""

    arm: str
    batch_size: int
    length: int
    median_ms: float
    p95_ms: float
    ratio: Ratio


def measure_latency(
    arms: Mapping[str, nn.Module], inputs: RandomInputs, settings: BenchmarkParams, precision: str = "fp32"
) -> tuple[list[Latency], float]:
    """Time forward passes of all `arms` in `precision` on the same random batches, for every batch size and length.

    Returns:
        The latencies, and the highest one-minute load average during the measurement.
    """
    shapes = [(batch_size, length) for batch_size in settings.batch_sizes for length in settings.lengths]
    results = []
    load = 0.0
    for batch_size, length in tqdm(shapes, desc="latency", unit="shape", disable=None):
        batch = inputs.batch(batch_size, length)
        calls = {arm: _forward(model, batch, precision) for arm, model in arms.items()}
        seconds = time_interleaved(calls, settings.repeats, settings.warmup, synchronizer(inputs.device))
        for arm, values in seconds.items():
            results.append(
                Latency(
                    arm=arm,
                    batch_size=batch_size,
                    length=length,
                    median_ms=1000 * median(values),
                    p95_ms=1000 * percentile(values, 95),
                    ratio=paired_ratio(values, seconds[REFERENCE]),
                )
            )
        load = max(load, os.getloadavg()[0])
    return results, load


def _forward(model: nn.Module, batch: dict[str, torch.Tensor], precision: str) -> Callable[[], torch.Tensor]:
    call = in_precision(model, precision, next(model.parameters()).device)

    @torch.inference_mode()
    def forward() -> torch.Tensor:
        return call(**batch).logits

    return forward


def measure_throughput(
    arms: Mapping[str, nn.Module], dataset: Dataset, collator: Callable, batch_size: int, precision: str = "fp32"
) -> dict[str, float]:
    """Return by arm the examples per second of `predict_logits` on `dataset`, collation included: the median of two rounds."""
    first_rows = dataset.select(range(min(batch_size, len(dataset))))
    for model in arms.values():
        predict_logits(model, first_rows, collator, batch_size, precision)
    calls = {arm: partial(predict_logits, model, dataset, collator, batch_size, precision) for arm, model in arms.items()}
    seconds = time_interleaved(calls, repeats=THROUGHPUT_ROUNDS, warmup=0)  # predictions are on the CPU: nothing is queued
    return {arm: len(dataset) / median(values) for arm, values in seconds.items()}
