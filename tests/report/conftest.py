"""Facts for the report, made up in the form of the files that the stages write: any number of classes, any outcome."""

from collections.abc import Callable
from itertools import product

import pandas as pd
import pytest

from stages.project.schema import METHODS, Params
from stages.report.facts import ARMS, SPLITS, Facts
from stages.report.setting import REGULARIZERS, TUNED, setting

RATIOS = {"full": 1.0, "lora": 1.2, "lora_merged": 1.0, "adapter": 1.1}


def details(f1: float, difference: tuple[float, float, float], trainable: int, names: list[str]) -> dict:
    two = {"positive_class": names[-1], "f1_positive": f1, "roc_auc": 0.91, "average_precision": 0.92} if len(names) == 2 else {}
    return {
        "accuracy": f1, "precision": f1, "recall": f1, "f1": f1, "f1_low": f1 - 0.01, "f1_high": f1 + 0.01,
        "f1_minus_full": difference[0], "f1_minus_full_low": difference[1], "f1_minus_full_high": difference[2],
        "trainable_parameters": trainable, "trainable_body_parameters": trainable - 10, "trainable_head_parameters": 10,
        "total_parameters": 1000, "trainable_percent": trainable / 10, "checkpoint_mib": trainable / 4,
        "epochs_trained": 4, "best_epoch": 2, "mcnemar_p": 0.2, "nll": 0.35, "brier": 0.21, "ece": 0.03, "ece_bins": 15,
        "f1_minus_majority": f1 - 0.33, "f1_minus_majority_low": f1 - 0.35, "f1_minus_majority_high": f1 - 0.31,
        "f1_minus_stratified": f1 - 0.5, "f1_minus_stratified_low": f1 - 0.52, "f1_minus_stratified_high": f1 - 0.48,
        "classes": len(names), "classes_predicted": len(names), "never_predicted": [], "learned": True,
        "f1_by_class": {name: round(f1 - place / 1000, 6) for place, name in enumerate(names)}, **two,
    }  # fmt: skip


def plan(models: tuple[str, ...] = ("this encoder", "large")) -> pd.DataFrame:
    """This encoder takes the whole batch; others take 2 texts, or none with full fine-tuning."""
    rows = []
    for model, method in product(models, METHODS):
        size = 32 if model == "this encoder" else 2 * (method != "full")
        peft = {"full": None, "lora": "rank 8", "adapter": "bottleneck 64"}[method]
        weights = {"this encoder": 100.0, "large": 1400.0, "RoBERTa-large": 1400.0}.get(model, 400.0)
        fitting = (128, size, 32 // size if size else 0, 4.0, 768)
        rows += [(model, method, peft, awp, recompute, precision, frozen, *fitting, peak, weights)
                 for precision, frozen, peak in (("fp32", "same", 1000.0), ("bf16", "same", 900.0), ("bf16", "bf16", 600.0))
                 for awp, recompute in product((False, True), (False, True))
                 if not (awp and precision != "fp32") and not (method == "full" and frozen != "same")]  # fmt: skip
    columns = (
        "model method peft awp gradient_checkpointing precision frozen_dtype length micro_batch_size accumulation_steps "
        "budget_gib reserve_mib peak_mib weights_mib"
    )
    return pd.DataFrame(rows, columns=columns.split())


def memory(gradients: float, activations: float) -> dict:
    peak = 100 + 3 * gradients + activations
    return {
        "micro_batch_size": 16, "length": 128, "weights_mib": 100.0, "gradients_mib": gradients,
        "optimizer_state_mib": 2 * gradients, "activations_mib": activations, "peak_training_memory_mib": peak,
        "peak_training_memory_awp_mib": peak + 10, "awp_buffer_mib": 10.0,
        "peak_mib_by_micro_batch": {"micro_batch_16": peak, "micro_batch_32": 2 * peak},
    }  # fmt: skip


def latency(sizes: tuple[int, ...], lengths: tuple[int, ...], rounds: int, coverage: float) -> pd.DataFrame:
    rows = [
        (arm, size, length, 10.0 * size * ratio, 12.0 * size, ratio, ratio - 0.02, ratio + 0.02, rounds, coverage)
        for arm, ratio in RATIOS.items() for size in sizes for length in lengths
    ]  # fmt: skip
    columns = "method batch_size length median_ms p95_ms ratio_to_full ratio_low ratio_high rounds coverage"
    return pd.DataFrame(rows, columns=columns.split())


def data(names: list[str], source: str) -> dict:
    """Rows of a data set with 350, 50 and 100 texts in a class, and 20 fewer with every further class."""
    sizes = {"train": 350, "validation": 50, "test": 100}
    classes = [{"name": name} | {split: max(n - 20 * k, 5) for split, n in sizes.items()} for k, name in enumerate(names)]
    rows = {split: sum(entry[split] for entry in classes) for split in SPLITS}
    dropped = {"empty": 1, "conflicting": 4, "duplicate": 3, "limit": 0} | ({"near_tie": 2} if source == "package" else {})
    parts = [*SPLITS, *(["transfer_products"] if source == "package" else [])]
    of_parts = {"rows": 90, "truncated_share": 0.0, "unknown_token_share": 0.001, "distinct_encodings": 90}
    return {
        "warnings": [], "rows_read": sum(rows.values()) + sum(dropped.values()),
        **{f"dropped_{rule}": count for rule, count in dropped.items()},
        **{f"{part}_{key}": value for part in parts for key, value in of_parts.items()},
        **{f"{split}_rows": count for split, count in rows.items()},
        "token_length_p50": 26, "token_length_p95": 46, "token_length_max": 79, "truncated_percent": 0.25,
        "leaking_rows_after_truncation": {"train_validation": 0, "train_test": 0, "validation_test": 0},
        "classes": classes, "rare_classes": [],
        "source": {"source": source, "path": "mine.csv", "files": [{"path": "data/mine.csv", "sha256": "ab" * 32}],
                   "parameters": {"seed": 13, "data.limit": 0}},
    }  # fmt: skip


def pairs(names: list[str], tests: dict[str, int]) -> pd.DataFrame:
    """Of each class one text is taken for the next class, the others are right."""
    rows = [(name, name) for name in names for _ in range(tests[name] - 1)]
    return pd.DataFrame([*rows, *zip(names, [*names[1:], names[0]], strict=True)], columns=["actual", "predicted"])


def provenance() -> dict:
    machine = {"machine cpu": "some cpu", "machine device": "cpu", "machine threads": "2"}
    packages = {f"package {name}": "1.0" for name in ("torch", "transformers", "peft")}
    read = {"data/processed/train.arrow": "aa", "data/processed/validation.arrow": "bb", "models/base": "cc"}
    weights = {f"models/{method}": f"weights of {method}" for method in METHODS}
    record = {"revision": "0123456789abcdef", "uncommitted": []}
    trained = {
        f"train_{method}": {
            **record, "inputs": machine | packages | read, "outputs": {f"models/{method}": weights[f"models/{method}"]}
        }
        for method in METHODS
    }  # fmt: skip
    return trained | {"evaluate": {**record, "inputs": machine | packages | read | weights, "outputs": {}}}


def make_facts(params: Params, names: list[str]) -> Facts:
    """Facts of a run in which every method learned and what was tuned and ablated earlier belongs to it."""
    source = params.data.source
    prepared = data(names, source)
    tests = {entry["name"]: entry["test"] for entry in prepared["classes"]}
    log = {
        "epochs_trained": 4, "best_epoch": 2, "awp_steps": 5, "optimizer_steps": 6,
        "awp_relative_step_mean": 0.01, "awp_relative_step_max": 0.01,
        "awp_unmoved_share": 0.0, "mixout_layers": 1, "learning_rate": 2e-3, "micro_batch_size": 16, "accumulation_steps": 2,
        "processes": 1,
    }  # fmt: skip
    columns = ("train_loss", "validation_loss", "accuracy", "precision", "recall", "f1")
    curve = pd.DataFrame({"epoch": range(1, 5)} | {column: [0.5] * 4 for column in columns})
    quality = {"full": details(0.88, (0, 0, 0), 900, names), "lora": details(0.86, (-0.02, -0.03, -0.01), 20, names),
               "adapter": details(0.875, (-0.005, -0.015, 0.005), 30, names)}  # fmt: skip
    if source == "package":
        for scores in quality.values():
            scores["transfer_products_f1"] = scores["f1"] - 0.1
    baselines = {"majority": 0.33, "stratified": 0.5, "tfidf": 0.8}
    timing = {"latency_1_ms": 10.0, "latency_8_ms": 80.0, "throughput_per_s": 100.0, "step_ms": 20.0, "step_awp_ms": 30.0,
              "peak_mib": 321.0}  # fmt: skip
    rates = [(m, r, 100, 2, 0.9 - 10 * abs(r - 2e-3), 0.4, setting(params, TUNED)) for m in METHODS for r in (1e-3, 2e-3, 4e-3)]
    plain = {"learning_rate": 2e-3, "train_rows": prepared["train_rows"], "validation_f1": [0.53, 0.5, 0.5],
             "validation_loss": 0.4, "setting": setting(params, REGULARIZERS)}  # fmt: skip
    return Facts(
        params=params,
        data=prepared,
        quality=quality,
        baseline={
            name: {"accuracy": f1, "precision": f1, "recall": f1, "f1": f1, "f1_low": f1 - 0.01, "f1_high": f1 + 0.01,
                   "training_rows": prepared["train_rows"]}
            for name, f1 in baselines.items()
        },
        training={method: dict(log) for method in METHODS},
        curves=dict.fromkeys(METHODS, curve),
        confusion=dict.fromkeys(METHODS, pairs(names, tests)),
        reports={method: f"report of {method}\n" for method in METHODS},
        memory={"full": memory(80, 500), "lora": memory(1, 450), "adapter": memory(2, 510),
                "lora_merged": {"max_abs_logit_difference": 1e-6}},
        plan=plan(),
        timing={arm: dict(timing) for arm in ARMS},
        conditions={"machine": {"device": "cpu", "cpu": "some cpu", "threads": 2}, "step_length": 26,
                    "peak_awp_mib": dict.fromkeys(METHODS, 330.0)},
        latency=latency((1, 8), (16, 64), 20, 0.9586),
        learning_rates=pd.DataFrame(
            rates, columns=["method", "learning_rate", "train_rows", "epochs", "validation_f1", "validation_loss", "setting"]
        ),
        ablation=pd.DataFrame(plain, index=list(METHODS)),
        provenance=provenance(),
    )  # fmt: skip


@pytest.fixture
def facts(params) -> Facts:
    """The embedded data: two classes, a transfer set."""
    return make_facts(params, ["negative", "positive"])


@pytest.fixture
def own_facts(with_params) -> Callable[..., Facts]:
    """A function that returns facts of the user's own data with the given class names and parameters."""

    def make(*names: str, **sections) -> Facts:
        return make_facts(with_params(**{"data": {"source": "csv"}, "model": {"source": "local"}} | sections), list(names))

    return make


def unlearned(facts: Facts, *methods: str) -> Facts:
    """The same facts, but these methods only predict the first class."""
    missing = facts.classes[1:]
    for method in methods:
        facts.quality[method].update(
            f1=0.33, f1_low=0.32, f1_high=0.34, f1_minus_majority=0.0, f1_minus_majority_low=0.0, f1_minus_majority_high=0.0,
            f1_minus_stratified=-0.17, f1_minus_stratified_low=-0.19, f1_minus_stratified_high=-0.15, classes_predicted=1,
            never_predicted=missing, learned=False,
        )  # fmt: skip
    return facts
