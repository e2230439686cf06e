"""Measure what the trained methods cost in inference and training."""

from collections.abc import Mapping
from math import ceil

import torch
from torch import nn
from transformers import PreTrainedConfig

from stages.benchmark.arms import ARMS, MERGE_TOLERANCE, load_arms, merge_difference
from stages.benchmark.latency import THROUGHPUT_ROUNDS, measure_latency, measure_throughput
from stages.benchmark.lengths import check_lengths, longest_input
from stages.benchmark.peak import peaks_measured
from stages.benchmark.protocol import busy_note, fix_threads
from stages.benchmark.results import arm_timing, write_latency, write_timing
from stages.benchmark.statistics import median, significant
from stages.benchmark.training_step import STEP_REPEATS, TrainingStep, time_training_steps
from stages.classifier.counting import count_parameters
from stages.classifier.faster.apply import accelerate_training
from stages.classifier.low_precision import cast_for_inference, check_precision
from stages.classifier.quiet import quiet_libraries
from stages.classifier.saving import weights_sha256
from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, make_collator
from stages.memory.batching import Batching
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, MemoryPredictor, memory_metrics
from stages.memory.recompute import recompute_activations
from stages.methods.checkpoint import checkpoint_bytes
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.errors import UserError
from stages.project.files import read_json, write_json
from stages.project.machine import describe_machine, pick_device
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS, MODELS, TRAINING_METRICS
from stages.project.schema import METHODS, Params

MICRO_BATCH_SIZES = (4, 16, 64)  # memory is predicted for these, and for the size at which the methods are compared


@quiet_libraries()
def main() -> None:
    params = load_params()
    fix_threads()
    device = pick_device()
    for parameter in ("train", "evaluate"):
        check_precision(getattr(params, parameter).precision, f"{parameter}.precision", device)
    labels = load_labels()
    arms = load_arms(device, params.train.acceleration)
    config = arms["full"].config
    assert isinstance(config, PreTrainedConfig)
    longest = longest_input(config, load_tokenizer())
    check_lengths(params.benchmark.lengths, longest)
    trained_length = min(params.data.max_length, longest)
    inputs = RandomInputs(config.vocab_size, len(labels), params.seed, device)

    batching = compared_batching(params)
    with peaks_measured(params, labels, batching, trained_length, device) as measured_peaks:  # beside what needs no clock
        models = trained_models(params, labels, device)
        merged = {"lora_merged": compare_merged(arms, inputs, params)}
        write_json(METRICS / "memory.json", count_memory(models, batching, inputs, trained_length, params) | merged)
        peaks = measured_peaks()

    precision = params.evaluate.precision
    for model in arms.values():  # only now: merging was compared in float32
        cast_for_inference(model, precision)
    latencies, load = measure_latency(arms, inputs, params.benchmark, precision)
    if note := busy_note(load, torch.get_num_threads()):
        print(note, flush=True)
    throughput = measure_throughput(
        arms, load_split("test"), make_collator(load_tokenizer()), params.evaluate.batch_size, precision
    )
    del arms
    typical = ceil(median(column(load_split("train"), "length")))
    training = measure_training(params, models, batching, inputs, typical, peaks)
    conditions = {
        "machine": describe_machine(device) | {"load_average": round(load, 2)},
        "base_model_sha256": weights_sha256(BASE_MODEL),
        "training_precision": params.train.precision,
        "latency_length": max(params.benchmark.lengths),
        "latency_rounds": params.benchmark.repeats,
        "latency_coverage": round(latencies[0].ratio.coverage, 4),
        "throughput_rounds": THROUGHPUT_ROUNDS,
        "step_rounds": STEP_REPEATS,
        "step_length": typical,
        "micro_batch_size": batching.micro_batch_size,
        "accumulation_steps": batching.accumulation_steps,
        "peak_length": trained_length,
        **other_peaks(training),
    }
    write_timing({arm: arm_timing(arm, latencies, throughput[arm], training, params.benchmark) for arm in ARMS}, conditions)
    write_latency(latencies, precision)


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


def count_memory(
    models: Mapping[str, nn.Module], batching: Batching, inputs: RandomInputs, length: int, params: Params
) -> dict[str, dict]:
    """Return parameters, checkpoint size and predicted training memory by method, for micro-batches of `length` tokens.

    With AWP the prediction is for a move as `params.awp` says, whether or not it is enabled.
    """
    memory, size, accumulate = {}, batching.micro_batch_size, batching.accumulation_steps > 1
    for method, model in models.items():
        with MemoryPredictor(model, inputs, length, params.train.precision) as predictor:
            sizes = sorted({*MICRO_BATCH_SIZES, size})
            predictions = {some: predictor.predict(some, accumulate) for some in sizes}
            with_awp = predictor.predict(size, accumulate, awp=params.awp)
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


def measure_training(
    params: Params,
    models: Mapping[str, nn.Module],
    batching: Batching,
    inputs: RandomInputs,
    typical: int,
    peaks: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, float]]:
    """Return by method the time of a training step on texts of `typical` tokens, with the measured `peaks`."""
    if params.train.acceleration:
        for model in models.values():
            accelerate_training(model)
    steps = {
        method: TrainingStep(model, params.train.max_grad_norm, params.awp, params.train.precision)
        for method, model in models.items()
    }
    times = time_training_steps(steps, inputs, batching, typical)
    return {
        method: {"step_ms": times[method]["plain"], "step_awp_ms": times[method]["awp"], **peaks[method]} for method in METHODS
    }


def other_peaks(training: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the measured peaks beside the plain one, by kind and method: with AWP, and on CUDA what the allocator reserved."""
    kinds = [key for key in training["full"] if key.startswith("peak_") and key != "peak_mib"]
    return {kind: {method: round(training[method][kind], 1) for method in METHODS} for kind in kinds}


def trained_models(params: Params, labels: list[str], device: torch.device) -> dict[str, nn.Module]:
    """Return each method's model as it is at the start of training."""
    models: dict[str, nn.Module] = {method: build(method_of(method), params, labels) for method in METHODS}
    for model in models.values():
        model.to(device)
        if params.train.gradient_checkpointing:
            recompute_activations(model)
    return models
