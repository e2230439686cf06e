"""The report's phrases follow the numbers, and its tables hold them."""

from dataclasses import replace
from itertools import product

import pandas as pd
import pytest

from stages.presentation.titles import METHOD_LABELS
from stages.project.schema import METHODS
from stages.report import memory as memory_part
from stages.report import origins, phrases, tables
from stages.report.facts import Facts
from stages.report.setting import REGULARIZERS, TUNED, setting
from stages.report.stage import render

SIZES, LENGTHS = (1, 8), (16, 64)


def quality(f1: float, difference: tuple[float, float, float], trainable: int) -> dict:
    return {
        "accuracy": f1, "precision": f1, "recall": f1, "f1": f1, "f1_low": f1 - 0.01, "f1_high": f1 + 0.01,
        "f1_minus_full": difference[0], "f1_minus_full_low": difference[1], "f1_minus_full_high": difference[2],
        "transfer_products_f1": f1 - 0.1,
        "trainable_parameters": trainable, "trainable_body_parameters": trainable - 10, "trainable_head_parameters": 10,
        "total_parameters": 1000, "trainable_percent": trainable / 10, "checkpoint_mib": trainable / 4,
        "epochs_trained": 4, "best_epoch": 2, "mcnemar_p": 0.2,
    }  # fmt: skip


def plan() -> pd.DataFrame:
    """This encoder takes the whole batch; a large one takes 2 texts, or none with full fine-tuning."""
    rows = []
    for model, method in product(("this encoder", "large"), METHODS):
        size = 32 if model == "this encoder" else 2 * (method != "full")
        rows += [(model, method, awp, recompute, 128, size, 32 // size if size else 0, 4.0, 768, 1000.0)
                 for awp, recompute in product((False, True), (False, True))]  # fmt: skip
    columns = "model method awp gradient_checkpointing length micro_batch_size accumulation_steps budget_gib reserve_mib peak_mib"
    return pd.DataFrame(rows, columns=columns.split())


def memory(gradients: float, activations: float) -> dict:
    peak = 100 + 3 * gradients + activations
    return {
        "trainable_parameters": 1, "checkpoint_bytes": 1, "micro_batch_size": 16, "length": 128, "weights_mib": 100.0,
        "gradients_mib": gradients, "optimizer_state_mib": 2 * gradients, "activations_mib": activations,
        "peak_training_memory_awp_mib": peak + 10, "awp_buffer_mib": 10.0, "peak_training_memory_mib": peak,
        "peak_mib_by_micro_batch": {"micro_batch_16": peak, "micro_batch_32": 2 * peak},
    }  # fmt: skip


@pytest.fixture
def facts(params) -> Facts:
    training = {
        "epochs_trained": 4, "best_epoch": 2, "awp_steps": 5, "awp_relative_step_mean": 0.01, "awp_relative_step_max": 0.01,
        "awp_unmoved_share": 0.0, "mixout_layers": 1, "learning_rate": 1e-3, "micro_batch_size": 16, "accumulation_steps": 2,
        "processes": 1,
    }  # fmt: skip
    epochs = range(1, 5)
    columns = ("train_loss", "validation_loss", "accuracy", "precision", "recall", "f1")
    curve = pd.DataFrame({"epoch": epochs} | {column: [0.5] * 4 for column in columns})
    pairs = pd.DataFrame({"actual": ["a", "a", "b"], "predicted": ["a", "b", "b"]})
    benchmark = {arm: {"throughput_examples_per_s": 100.0, "training_step_ms": 20.0, "training_step_awp_ms": 30.0,
                       "training_step_length": 26, "peak_training_memory_mib": 321.0,
                       "peak_training_memory_awp_mib": 330.0} for arm in METHOD_LABELS}  # fmt: skip
    ratios = {"full": 1.0, "lora": 1.2, "lora_merged": 1.0, "adapter": 1.1}
    latency = [
        (arm, size, length, 10.0 * ratio, 12.0, ratio, ratio - 0.02, ratio + 0.02)
        for arm, ratio in ratios.items() for size in SIZES for length in LENGTHS
    ]  # fmt: skip
    names = ["method", "batch_size", "length", "median_ms", "p95_ms", "ratio_to_full", "ratio_low", "ratio_high"]
    rates = [(m, r, 100, 2, 0.8 + r, 0.4, setting(params, TUNED)) for m in METHODS for r in (1e-3, 2e-3)]
    plain = {"learning_rate": 1e-3, "train_rows": 3500, "validation_f1": [0.53, 0.5, 0.5], "validation_loss": 0.4,
             "setting": setting(params, REGULARIZERS)}  # fmt: skip
    ablation = pd.DataFrame(plain, index=list(METHODS))
    machine = {"machine cpu": "some cpu", "machine device": "cpu", "machine threads": "2"}
    packages = {f"package {name}": "1.0" for name in ("torch", "transformers", "peft")}
    read = {"data/processed/train.arrow": "aa", "data/processed/validation.arrow": "bb", "models/base": "cc"}
    weights = {f"models/{method}": f"weights of {method}" for method in METHODS}
    record = {"revision": "0123456789abcdef", "uncommitted": []}
    provenance = {
        f"train_{method}": {
            **record, "inputs": machine | packages | read, "outputs": {f"models/{method}": weights[f"models/{method}"]}
        }
        for method in METHODS
    }  # fmt: skip
    provenance["evaluate"] = {**record, "inputs": machine | packages | read | weights, "outputs": {}}
    return Facts(
        ablation=ablation,
        provenance=provenance,
        params=params,
        data={"rows_read": 5000, "dropped_empty": 1, "dropped_near_tie": 2, "dropped_duplicate": 3, "dropped_conflicting": 4,
              "dropped_limit": 0, "train_rows": 3500, "validation_rows": 500, "test_rows": 1000, "token_length_p50": 26,
              "token_length_p95": 46, "token_length_max": 79, "truncated_percent": 0.25}
        | {f"{split}_rows_{name}": share * 500 for name in "ab"
           for split, share in (("train", 3.5), ("validation", 0.5), ("test", 1))},
        quality={"full": quality(0.88, (0, 0, 0), 900), "lora": quality(0.86, (-0.02, -0.03, -0.01), 20),
                 "adapter": quality(0.875, (-0.005, -0.015, 0.005), 30)},
        training=dict.fromkeys(METHODS, training),
        curves=dict.fromkeys(METHODS, curve),
        confusion=dict.fromkeys(METHODS, pairs),
        reports={method: f"report of {method}\n" for method in METHODS},
        memory={"full": memory(80, 500), "lora": memory(1, 450), "adapter": memory(2, 510),
                "lora_merged": {"max_abs_logit_difference": 1e-6}},
        plan=plan(),
        benchmark={"machine": {"device": "cpu", "cpu": "some cpu", "threads": 2}} | benchmark,
        latency=pd.DataFrame(latency, columns=names),
        learning_rates=pd.DataFrame(
            rates, columns=["method", "learning_rate", "train_rows", "epochs", "validation_f1", "validation_loss", "setting"]
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.03, -0.01, "is below full fine-tuning by 0.020"),
        (-0.03, 0.01, "cannot be distinguished from"),
        (0.01, 0.03, "is above"),
    ],
)
def test_the_comparison_follows_the_interval(facts, low, high, words):
    facts.quality["lora"].update(f1_minus_full=-0.02 if low < 0 else 0.02, f1_minus_full_low=low, f1_minus_full_high=high)
    assert words in phrases.against_full(facts, "lora")


def test_mcnemar_follows_p(facts):
    assert "finds no difference" in phrases.mcnemar(facts, "lora")
    facts.quality["lora"]["mcnemar_p"] = 0.01
    assert "agrees" in phrases.mcnemar(facts, "lora")


@pytest.mark.parametrize(
    ("trained", "best", "words"),
    [(5, 2, "ended by early stopping after epoch 5"), (None, None, "still improving"), (None, 4, "ran all")],
)
def test_the_end_of_training_is_told(facts, trained, best, words):
    last = facts.params.train.epochs
    facts.training["full"].update(epochs_trained=trained or last, best_epoch=best or last)
    assert words in phrases.levelled_off(facts, "full")


def test_latency_is_told_in_exactly_five_lines_with_the_measured_ratios(facts):
    lines = phrases.latency_lines(facts)
    assert len(lines) == 5 and not any("\n" in line for line in lines)
    assert "1.20 to 1.20 times full" in lines[1] and "slower in 4 of 4 cells" in lines[1]
    assert "slower in 0 of 4 cells" in lines[2]
    assert "LoRA +20 % and adapter +10 %" in lines[4]


def test_memory_savings_follow_the_prediction(facts):
    assert "237 MiB less for gradients and optimizer state, 50 MiB less for activations, 34 % less" in memory_part.saving(
        facts, "lora"
    )
    assert "10 MiB more for activations" in memory_part.saving(facts, "adapter")


def test_what_fits_into_the_budget_follows_the_plan(facts):
    assert memory_part.fits_in_budget(facts).endswith("full fine-tuning 32, LoRA 32, adapter 32 of 32 texts")
    assert "| large, LoRA | 2 x 16, 1,000 | 2 x 16, 1,000 |" in memory_part.plan(facts)
    assert "| large, full fine-tuning | none (1 takes 1,000) |" in memory_part.plan(facts)
    assert (
        memory_part.not_fitting(facts)
        == "Not even one text at a time fits for large with full fine-tuning (whatever the variant)."
    )
    facts.plan.loc[(facts.plan["model"] == "large") & facts.plan["awp"], "micro_batch_size"] = 2
    assert "full fine-tuning (plain, checkpointing)." in memory_part.not_fitting(facts)
    facts.plan["micro_batch_size"] = 2
    assert memory_part.not_fitting(facts) == "Every one of these trainings fits."
    assert memory_part.shorter_inputs(facts) == ""
    facts.plan.loc[facts.plan["model"] == "large", "length"] = 64
    assert memory_part.shorter_inputs(facts) == " (or as many as a model takes: large 64)"
    cannot = facts.plan[~facts.plan["gradient_checkpointing"]].reset_index(drop=True)
    assert "| cannot |" in memory_part.plan(replace(facts, plan=cannot))


def test_the_cut_of_the_batch_is_told_as_training_took_it(facts):
    assert memory_part.batching(facts) == "16 at a time pass through the model (2 micro-batches)"
    assert memory_part.by_the_first_process(facts) == ""
    facts.training["lora"] = facts.training["lora"] | {"micro_batch_size": 8, "processes": 2}
    assert "with LoRA 8 at a time pass through the model (2 micro-batches in each of 2 processes)" in memory_part.batching(facts)
    assert "first process" in memory_part.by_the_first_process(facts)


def test_the_error_of_the_prediction_is_told(facts):
    for method in METHODS:
        facts.memory[method].update(peak_training_memory_mib=300.0, peak_training_memory_awp_mib=330.0)
    assert memory_part.error(facts) == "The measured peaks differ from the predicted ones by +0.0 % to +7.0 %"


def test_truncation_is_told_as_it_was(facts):
    assert phrases.truncation(facts) == "0.25 % were truncated"
    facts.data["truncated_percent"] = 0.0
    assert "truncation never acts" in phrases.truncation(facts)


def test_overlapping_intervals_are_named(facts):
    assert "for full fine-tuning and LoRA" in phrases.overlapping(facts)  # 0.87 touches 0.87
    for method, f1 in zip(METHODS, (0.9, 0.8, 0.7), strict=True):
        facts.quality[method].update(f1_low=f1 - 0.01, f1_high=f1 + 0.01)
    assert phrases.overlapping(facts).startswith("No two methods")


def test_the_regularizers_effect_is_told(facts):
    assert phrases.regularizers(facts).endswith("adapter +0.000. Full fine-tuning loses most")
    assert "| full fine-tuning | 0.5000 | 0.5300 | +0.0300 |" in tables.ablation(facts)
    assert "**What the two do here.**" in render(facts)
    other = replace(facts, data=facts.data | {"train_rows": 100})  # its numbers do not belong to this run
    assert "**What the two do here.**" not in render(other)


def test_earlier_tables_of_other_parameters_are_known_as_such(facts, with_params):
    other = replace(facts, params=with_params(peft={"rank": 4}))
    assert phrases.tuned_elsewhere(facts) == "" and "`make tune`" in phrases.tuned_elsewhere(other)
    assert phrases.ablation_belongs(facts) and not phrases.ablation_belongs(other)
    assert phrases.ablation_belongs(replace(facts, params=with_params(awp={"epsilon": 0.02})))


def test_a_best_rate_at_the_edge_is_told(facts):
    assert "at the edge" in phrases.tuned_at_edge(facts.learning_rates)
    middle = pd.DataFrame({"method": ["full"] * 3, "learning_rate": [1, 2, 3], "validation_f1": [0.1, 0.3, 0.2]})
    assert "inside the range for every method" in phrases.tuned_at_edge(middle)


def test_the_origin_is_told(facts):
    versions = "torch 1.0, transformers 1.0, peft 1.0"
    assert f"| train_lora | 0123456789ab | nothing | {versions} | some cpu, 2 threads |" in origins.table(facts)
    assert origins.hashes(facts).count("`cc`") == 1
    assert origins.mismatches(facts) == []
    facts.provenance["evaluate"].update(revision=None, uncommitted=None)
    assert "| evaluate | no git | unknown |" in origins.table(facts)
    facts.provenance["train_full"]["uncommitted"] = ["params.yaml"]
    assert "| params.yaml |" in origins.table(facts)


def test_records_of_other_results_are_told(facts):
    facts.provenance["train_lora"]["outputs"]["models/lora"] = "other"
    facts.provenance["train_adapter"]["inputs"] = facts.provenance["train_adapter"]["inputs"] | {"machine cpu": "another"}
    text = render(facts)
    assert "The record of train_lora belongs to different weights" in text and "train_full belongs" not in text
    assert "The stages ran on different processors: another, some cpu." in text and "hashes match" not in text


def test_tables_hold_the_numbers(facts):
    assert "| 1 : 45 |" in tables.parameters(facts)
    assert "| true a | 1 | 1 |" in tables.confusion(facts, "full")
    assert "-0.020 (-0.030 to -0.010)" in tables.headline(facts)
    assert tables.learning_curve(facts, "full").count("(kept)") == 1
    assert "1.20 (1.18 to 1.22)" in tables.latency(facts)
    assert "0.7600" in tables.quality(facts)
    assert tables.markdown_table(["a|b", "c"], [["x", 1]]).splitlines()[0] == "| a\\|b | c |"


def test_the_whole_report_renders_and_adapts(facts):
    text = render(facts)
    assert "{{" not in text and "{%" not in text and "None" not in text
    for method in METHODS:
        assert f"report of {method}" in text
    assert "film-review" in text and "products" in text
    for key in [key for key in facts.quality["full"] if key.startswith("transfer_")]:
        for method in METHODS:
            del facts.quality[method][key]
    assert "**Transfer.**" not in render(facts)
