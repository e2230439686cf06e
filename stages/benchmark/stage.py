"""Measure what the trained methods cost in inference and training, and write the four result files."""

from collections.abc import Mapping, Sequence
from math import ceil

import torch
from torch import nn
from transformers import PreTrainedConfig

from stages.benchmark.arms import MERGE_TOLERANCE, load_arms, merge_difference
from stages.benchmark.figures import latency_figure
from stages.benchmark.latency import Latency, measure_latency, measure_throughput
from stages.benchmark.lengths import check_lengths, longest_input
from stages.benchmark.peak import measure_peak
from stages.benchmark.protocol import busy_note, fix_threads
from stages.benchmark.statistics import median, significant
from stages.benchmark.training_step import TrainingStep, time_training_steps
from stages.classifier.counting import count_parameters
from stages.classifier.faster.apply import accelerate_training
from stages.classifier.quiet import quiet_libraries
from stages.classifier.saving import weights_sha256
from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, make_collator
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, memory_metrics, predict_training_memory
from stages.memory.recompute import recompute_activations
from stages.methods.checkpoint import checkpoint_bytes
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.presentation.figures import save_figure
from stages.project.errors import UserError
from stages.project.files import read_json, write_csv, write_json
from stages.project.machine import describe_machine, pick_device
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS, MODELS, PLOTS, TRAINING_METRICS
from stages.project.schema import METHODS, Params

MICRO_BATCH_SIZES = (4, 16, 64)  # memory is predicted for these, and for the size at which the methods are compared
LATENCY_COLUMNS = ("method", "batch_size", "length", "median_ms", "p95_ms", "ratio_to_full", "ratio_low", "ratio_high")


@quiet_libraries()
def main() -> None:
    params = load_params()
    fix_threads()
    device = pick_device()
    labels = load_labels()
    arms = load_arms(device, params.train.acceleration)
    config = arms["full"].config
    assert isinstance(config, PreTrainedConfig)
    longest = longest_input(config, load_tokenizer())
    check_lengths(params.benchmark.lengths, longest)
    trained_length = min(params.data.max_length, longest)
    inputs = RandomInputs(config.vocab_size, len(labels), params.seed, device)

    models = trained_models(params, labels, device)
    batching = compared_batching(params)
    merged = {"lora_merged": compare_merged(arms, inputs, params)}
    write_json(METRICS / "memory.json", count_memory(models, batching, inputs, trained_length) | merged)

    latencies, load = measure_latency(arms, inputs, params.benchmark)
    if note := busy_note(load, torch.get_num_threads()):
        print(note, flush=True)
    throughput = measure_throughput(arms, load_split("test"), make_collator(load_tokenizer()), params.evaluate.batch_size)
    results = {arm: inference_metrics(arm, latencies, throughput[arm]) for arm in arms}
    del arms
    training = measure_training(params, labels, models, batching, inputs, trained_length)
    header = {
        "machine": describe_machine(device) | {"load_average": round(load, 2)},
        "base_model_sha256": weights_sha256(BASE_MODEL),
    }
    write_json(METRICS / "benchmark.json", header | {arm: results[arm] | training.get(arm, {}) for arm in results})
    write_latency(latencies)


def compare_merged(arms: dict[str, nn.Module], inputs: RandomInputs, params: Params) -> dict[str, float]:
    """Check that merging LoRA changes no logit by more than the tolerance, on the largest benchmark batches."""
    shapes = [(max(params.benchmark.batch_sizes), length) for length in params.benchmark.lengths]
    difference = merge_difference(arms["lora"], arms["lora_merged"], inputs, shapes)
    return {"max_abs_logit_difference": significant(difference, 3), "tolerance": MERGE_TOLERANCE}


def compared_batching(params: Params) -> Batching:
    """Return the smallest micro-batch used in training by any method, and how many of them one process accumulates to a batch.

    All methods are compared at this size. With train.micro_batch_size auto each trains at the size that fits, and costs at
    different sizes cannot be compared.

    Raises:
        UserError: the file of a method in metrics/training is missing, or has no micro_batch_size.
    """
    sizes = []
    for method in METHODS:
        path = TRAINING_METRICS / f"{method}.json"
        try:
            sizes.append(read_json(path)["micro_batch_size"])
        except (OSError, ValueError, KeyError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{path}: micro_batch_size cannot be read ({reason}); run the stage train_{method} first") from None
    return Batching(min(sizes), params.train.batch_size // min(sizes))


def count_memory(models: Mapping[str, nn.Module], batching: Batching, inputs: RandomInputs, length: int) -> dict[str, dict]:
    """Return parameters, checkpoint size and predicted training memory by method, for micro-batches of `length` tokens."""
    memory, size, accumulate = {}, batching.micro_batch_size, batching.accumulation_steps > 1
    for method, model in models.items():
        predictions = predict_training_memory(model, inputs, (*MICRO_BATCH_SIZES, size), length, accumulate)
        with_awp = predict_training_memory(model, inputs, (size,), length, accumulate, awp=True)[size]
        memory[method] = {
            "trainable_parameters": count_parameters(model).trainable,
            "checkpoint_bytes": checkpoint_bytes(MODELS / method),
            "micro_batch_size": size,
            "accumulation_steps": batching.accumulation_steps,
            "length": length,
            **memory_metrics(predictions, size),
            "peak_training_memory_awp_mib": round(with_awp.peak / MIB, 3),
            "awp_buffer_mib": round(with_awp.awp_buffer / MIB, 3),
        }
    return memory


def inference_metrics(arm: str, latencies: Sequence[Latency], throughput: float) -> dict:
    """Return the numbers that every arm has in metrics/benchmark.json."""
    own = [latency for latency in latencies if latency.arm == arm]
    return {
        "latency_ms": {
            latency.cell: {"median": significant(latency.median_ms), "p95": significant(latency.p95_ms)} for latency in own
        },
        "throughput_examples_per_s": significant(throughput),
    }


def measure_training(
    params: Params,
    labels: list[str],
    models: Mapping[str, nn.Module],
    batching: Batching,
    inputs: RandomInputs,
    longest: int,
) -> dict[str, dict[str, float]]:
    """Return by method the time of a training step at the median training length, and its peak memory at length `longest`."""
    peaks = {method: measure_peak(method, params, labels, batching, longest, inputs.device) for method in METHODS}
    typical = ceil(median(column(load_split("train"), "length")))
    if params.train.acceleration:
        for model in models.values():
            accelerate_training(model)
    steps = {method: TrainingStep(model, params.train.max_grad_norm, params.awp.epsilon) for method, model in models.items()}
    times = time_training_steps(steps, inputs, batching, typical)
    return {
        method: {
            "training_step_ms": significant(times[method]["plain"]),
            "training_step_awp_ms": significant(times[method]["awp"]),
            "training_step_length": typical,
            **{name: round(peak, 1) for name, peak in peaks[method].items()},
            "peak_training_memory_length": longest,
        }
        for method in METHODS
    }


def trained_models(params: Params, labels: list[str], device: torch.device) -> dict[str, nn.Module]:
    """Return each method's model as it is at the start of training."""
    models: dict[str, nn.Module] = {method: build(method_of(method), params, labels) for method in METHODS}
    for model in models.values():
        model.to(device)
        if params.train.gradient_checkpointing:
            recompute_activations(model)
    return models


def write_latency(latencies: Sequence[Latency]) -> None:
    """Write the latency table and its figure."""
    rows = []
    for latency in latencies:
        numbers = (latency.median_ms, latency.p95_ms, latency.ratio.value, latency.ratio.low, latency.ratio.high)
        rows.append((latency.arm, latency.batch_size, latency.length, *map(significant, numbers)))
    write_csv(PLOTS / "latency.csv", LATENCY_COLUMNS, rows)
    save_figure(latency_figure(latencies), PLOTS / "latency.png")
