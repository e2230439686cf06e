"""The report's sentences follow the facts: they stay true for other data and other outcomes."""

from dataclasses import replace

import pandas as pd
import pytest

from stages.project.revision import NOT_RECORDED, UNKNOWN
from stages.report import epochs, origins, prepared, quality, training
from stages.report.language import Language
from stages.report.stage import render
from tests.report.conftest import unlearned

EN = Language("en")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.03, -0.01, "LoRA is below full fine-tuning by 0.020 macro F1 (95 % interval -0.030 to -0.010, excludes 0)."),
        (-0.03, 0.01, "LoRA cannot be told apart from full fine-tuning: -0.020 macro F1"),
        (0.01, 0.03, "LoRA is above full fine-tuning by 0.020 macro F1"),
        (0.0004, 0.03, "0.0200 macro F1 (95 % interval +0.0004 to +0.0300, excludes 0)"),
        (0.0, 0.0, "LoRA scores the same as full fine-tuning on these texts"),
    ],
)
def test_the_comparison_follows_the_interval(facts, low, high, words):
    difference = 0.0 if low == high else -0.02 if low < 0 else 0.02
    facts.quality["lora"].update(f1_minus_full=difference, f1_minus_full_low=low, f1_minus_full_high=high)
    assert words in quality.against_full(facts, EN, "lora")


def test_the_conclusion_names_what_is_shown_and_what_is_not_excluded(facts, own_facts):
    assert quality.conclusion(facts, EN) == (
        "A loss of quality is shown for LoRA, of up to 0.030 macro F1. Neither loss nor gain is shown for the adapter; "
        "a loss of up to 0.015 macro F1 is not excluded."
    )
    assert quality.conclusion(unlearned(own_facts("a", "b"), "full"), EN) == ""


def test_mcnemar_follows_p(facts):
    assert quality.mcnemar(facts, EN) == (
        "McNemar's exact test finds no difference in error rates from full fine-tuning for LoRA (p = 0.2) and "
        "the adapter (p = 0.2)."
    )
    facts.quality["lora"]["mcnemar_p"] = 0.01
    assert "finds a difference in error rates from full fine-tuning for LoRA (p = 0.01). " in quality.mcnemar(facts, EN)


def test_who_did_not_learn_stands_first_and_is_not_compared(own_facts):
    facts = unlearned(own_facts("ham", "spam"), "adapter")
    text = render(facts, "report", "en")
    assert text.splitlines()[2] == "**Read this first: not every method learned.**"
    assert "**The adapter did not learn.** Macro F1 0.330; always answering the most frequent class gives 0.330" in text
    assert "Of the 2 classes, 1 is never predicted: “spam”." in text
    assert "| adapter | 0.330 (0.320 to 0.340) | not compared |" in text
    assert "The adapter is" not in text and "The adapter cannot" not in text and "LoRA is below full fine-tuning" in text
    assert "for LoRA (p = 0.2)." in text  # no test of the adapter


def test_methods_that_failed_alike_are_told_together(own_facts):
    facts = unlearned(own_facts("ham", "spam"), "full", "lora")
    assert quality.not_learned(facts, EN).count("did not learn.**") == 1
    assert "**Full fine-tuning and LoRA did not learn.** Macro F1 0.330" in quality.not_learned(facts, EN)
    assert "**El fine-tuning completo y LoRA no aprendieron.**" in quality.not_learned(facts, Language("es"))


def test_without_a_reference_nothing_is_compared(own_facts):
    facts = unlearned(own_facts("ham", "spam"), "full")
    text = render(facts, "report", "en")
    assert "The first is the reference: nothing can be concluded or compared about quality." in text
    assert "McNemar" not in text and "full fine-tuning by" not in text and "told apart" not in text
    assert "| LoRA | 0.860 (0.850 to 0.870) | - |" in text


def test_what_kind_of_failure_it_is_is_told(own_facts):
    facts = own_facts("a", "b", "c")
    facts.quality["lora"].update(never_predicted=["c"])
    facts.quality["adapter"].update(f1_minus_majority=0.01, f1_minus_majority_low=-0.01)
    text = quality.not_learned(facts, EN)
    assert "**LoRA did not learn every class.** Of the 3 classes, 1 is never predicted: “c”." in text
    assert "**The adapter is not shown to have learned.**" in text


def test_an_improvement_in_the_last_epoch_of_what_did_not_learn_promises_nothing(own_facts):
    facts = own_facts("a", "b")
    for log in facts.training.values():
        log.update(epochs_trained=facts.params.train.epochs, best_epoch=4)
    last = facts.params.train.epochs
    curve = pd.concat([facts.curves["full"]] * 2, ignore_index=True).assign(epoch=range(1, 9))
    facts = replace(facts, curves=dict.fromkeys(facts.curves, curve))
    facts.training["full"]["best_epoch"] = last
    assert f"had its best epoch last, {last} of {last}, so more may improve it" in epochs.ends(facts, EN)
    assert "more may improve it" not in epochs.ends(unlearned(facts, "full"), EN)


@pytest.mark.parametrize(
    ("planned", "trained", "best", "words"),
    [
        (6, 4, 2, "was stopped early, after epoch 4"),
        (4, 4, 2, "ran all 4 epochs"),
        (1, 1, 1, "ran 1 epoch, which shows no trend"),
    ],
)
def test_the_end_of_training_is_told(own_facts, planned, trained, best, words):
    facts = own_facts("a", "b", train={"epochs": planned})
    facts.training["full"].update(epochs_trained=trained, best_epoch=best)
    assert words in epochs.ends(facts, EN)


def test_first_epochs_at_the_level_of_guessing_are_told(facts):
    base = facts.baseline["stratified"]["f1"]
    curve = facts.curves["lora"].copy()
    assert "guessing" not in epochs.ends(facts, EN)
    curve.loc[curve["epoch"] == 1, "f1"] = base - 0.1
    (said,) = [line for line in epochs.ends(with_curve(facts, curve), EN).splitlines() if "guessing" in line]
    assert said.startswith("- LoRA")
    assert f"its F1 ({base - 0.1:.3f}) was below that of guessing by class frequency ({base:.3f})" in said
    assert "guessing" not in epochs.ends(unlearned(with_curve(facts, curve), "lora"), EN)


def with_curve(facts, curve):
    return replace(facts, curves=facts.curves | {"lora": curve})


def test_what_the_batch_of_accumulated_steps_equals_follows_what_acts(own_facts):
    assert "without dropout, mixout and AWP" in training.accumulated(own_facts("a", "b"), EN)
    assert "without dropout and mixout the" in training.accumulated(own_facts("a", "b", awp={"enabled": False}), EN)
    plain = own_facts("a", "b", awp={"enabled": False}, mixout={"enabled": False})
    assert "without dropout the step" in training.accumulated(plain, EN)


def test_baselines_are_rows_and_are_compared(facts):
    assert "| baseline: TF-IDF + logistic regression | 0.800 (0.790 to 0.810) |" in render(facts, "report", "en")
    assert "All three methods score above TF-IDF with logistic regression (0.800)" in quality.baseline(facts, EN)
    facts.baseline["tfidf"]["f1"] = 0.87
    assert "full fine-tuning and the adapter above it, LoRA not" in quality.baseline(facts, EN)
    facts.baseline["tfidf"]["f1"] = 0.95
    assert "fine-tuning does not pay here" in quality.baseline(facts, EN)
    assert "trained on" not in quality.baseline(facts, EN)
    facts.baseline["tfidf"]["training_rows"] = 500
    assert quality.baseline(facts, EN).endswith("(It was trained on 500 rows.)")


def test_dropped_rows_are_told_as_they_were_and_add_up(facts, own_facts):
    assert prepared.rows(facts, EN) == (
        "Of 950 rows, 940 are used; dropped were 1 empty text, 4 rows whose texts have contradicting labels, 3 duplicates and "
        "2 near ties (mean rating nearer to 0 than 0.5)."
    )
    own = own_facts("a", "b")
    assert "near" not in prepared.rows(own, EN)
    own.data.update(rows_read=940, dropped_empty=0, dropped_conflicting=0, dropped_duplicate=0)
    assert prepared.rows(own, EN) == "All 940 rows are used."
    own.data["dropped_of_a_new_kind"] = 1
    assert "1 row by the rule of\\_a\\_new\\_kind" in prepared.rows(own, EN)


def test_given_splits_are_told(own_facts):
    facts = own_facts("a", "b")
    assert "before splitting" in prepared.separation(facts, EN)
    facts.data["dropped_in_other_split"] = 3
    assert "before splitting" not in prepared.separation(facts, EN) and "Splits were given" in prepared.separation(facts, EN)
    assert "3 rows whose texts another split keeps" in prepared.rows(facts, EN)


def test_truncation_unknown_tokens_and_leakage_are_told(facts):
    assert "0.25 % are truncated; at most 0.10 % of a split's tokens are unknown." in prepared.lengths(facts, EN)
    facts.data.update(
        truncated_percent=0.001, **{f"{split}_unknown_token_share": 0.0 for split in ("train", "validation", "test")}
    )
    assert "< 0.01 % are truncated; no token is unknown." in prepared.lengths(facts, EN)
    facts.data["truncated_percent"] = 0.0
    assert "none is truncated" in prepared.lengths(facts, EN)
    facts.data["leaking_rows_after_truncation"]["train_test"] = 1
    assert "After truncation, 1 text is the same as one in an earlier split." in prepared.separation(facts, EN)


def test_warnings_of_the_data_stand_near_the_top_word_for_word(facts):
    assert "caution" not in render(facts, "report", "en")
    facts.data["warnings"] = ["Unknown tokens: 99 % in train.", "a_b", "c"]
    lines = render(facts, "report", "en").splitlines()
    assert lines[2:6] == [
        "**The data call for caution.** The stage `prepare` gave 3 warnings:",
        "- Unknown tokens: 99 % in train.",
        "- a\\_b",
        "- 1 more stands in [metrics/data.json](metrics/data.json).",
    ]
    assert "- c" in render(facts, "details", "en")


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        ("package", "package", "pinned archives"),
        ("csv", "package", "pinned archives"),
        ("csv", "hub", "comes from the Hugging Face Hub"),
        ("package", "hub", "a pinned archive, and the Hugging Face Hub"),
        ("csv", "local", "data and encoder are your own files"),
    ],
)
def test_what_is_downloaded_is_told(own_facts, data, model, words):
    assert words in prepared.network(own_facts("a", "b", data={"source": data}, model={"source": model}), EN)


def test_film_reviews_are_named_only_where_they_are_the_data(facts, own_facts):
    assert "Film-review" in render(facts, "report", "en") and "product reviews" not in render(own_facts("a", "b"), "report", "en")
    assert "ilm" not in render(own_facts("a", "b"), "report", "en") + render(own_facts("a", "b"), "details", "en")


def test_many_classes_are_summed_up(own_facts):
    facts = own_facts(*(f"topic {n}" for n in range(40)))
    said = prepared.balance(facts, EN)
    assert "There are 40 classes" in said and "the largest, “topic 0”, has 10.4 %" in said and "“topic 17”" not in said


def test_earlier_tables_of_other_parameters_are_known_as_such(facts, with_params):
    other = replace(facts, params=with_params(peft={"rank": 4}))
    assert "the best on validation of a coarse grid" in training.tuning(facts, EN)
    assert "| LoRA | 0.002 (used) | 0.9000 |" in training.learning_rates(facts, EN)
    assert "nothing was tuned here" in training.tuning(other, EN) and "`make tune`" in training.learning_rates(other, EN)
    assert training.ablation_belongs(facts) and not training.ablation_belongs(other)
    assert not training.ablation_belongs(replace(facts, params=with_params(awp={"epsilon": 0.02}, mixout={"enabled": False})))


def test_a_rate_set_by_hand_is_told(facts):
    facts.training["lora"]["learning_rate"] = 1e-5
    assert "others of the grid were better for LoRA" in training.tuning(facts, EN)


def test_a_best_rate_at_the_edge_is_told(facts):
    assert "No best rate lies at the edge" in training.tuning(facts, EN)
    cut = facts.learning_rates[facts.learning_rates["learning_rate"] < 4e-3]
    assert "at the edge of the grid for full fine-tuning, LoRA and the adapter" in training.tuning(
        replace(facts, learning_rates=cut), EN
    )


def test_the_regularizers_effect_is_told_where_it_was_measured(facts):
    assert "change validation F1 by full -0.030, LoRA +0.000, adapter +0.000" in training.regularizers(facts, EN)
    assert "| full fine-tuning | 0.5000 | 0.5300 | -0.0300 |" in training.ablation(facts, EN)
    other = replace(facts, data=facts.data | {"train_rows": 100})
    assert training.regularizers(other, EN) == "" and "was not measured" in training.ablation(other, EN)


def test_the_cut_of_the_batch_is_told_as_training_took_it(facts):
    assert training.batching(facts, EN) == "16 at a time pass through the model (2 micro-batches)"
    facts.training["lora"].update(micro_batch_size=32, accumulation_steps=1)
    assert "with LoRA all 32 pass through the model at once (1 micro-batch)" in training.batching(facts, EN)
    for log in facts.training.values():
        log.update(micro_batch_size=8, accumulation_steps=2, processes=2)
    assert training.batching(facts, EN).endswith("(2 micro-batches in each of 2 processes)")
    assert "by the first process" in training.awp(facts, EN)


def test_awp_and_mixout_are_told_as_they_were(own_facts):
    on = own_facts("a", "b", awp={"window_start": 0.25})
    assert "from 0.25 to 1 of every epoch's steps" in training.awp(on, EN)
    on.training["lora"]["awp_unmoved_share"] = 0.5
    assert (
        "LoRA 5 perturbations, one for each micro-batch of 2 of the 6 optimizer steps, mean `||v|| / ||w||` 0.0100, "
        "50.00 % of tensors unable to move" in training.awp(on, EN)
    )
    assert (
        "every trainable weight tensor with more than one dimension moves by `v = epsilon ||w|| g / ||g||`, loss"
        in training.awp(on, EN)
    )
    other = training.awp(own_facts("a", "b", awp={"target": "all", "embeddings": "rows", "box": 0.02, "step": 0.001}), EN)
    assert "step 0.001 and each element kept within 0.02 of its own size" in other and "epsilon" not in other
    assert (
        "every weight tensor, frozen ones too, with" in other and "(embeddings row by row, each by its own norm), loss" in other
    )
    off = own_facts("a", "b", awp={"enabled": False}, mixout={"enabled": False})
    assert "switched off" in training.awp(off, EN) and "switched off" in training.mixout(off, EN)


def test_the_origin_is_told(facts):
    versions = "torch 1.0, transformers 1.0, peft 1.0"
    assert f"| train_lora | 0123456789ab | nothing | {versions} | some cpu, 2 threads |" in origins.table(facts, EN)
    assert origins.hashes(facts, EN).count("`cc`") == 1 and "| data/mine.csv |" in origins.hashes(facts, EN)
    assert origins.mismatches(facts, EN) == "" and "hashes match" in origins.verdict(facts, EN)
    facts.provenance["evaluate"].update(revision=None, uncommitted=None)
    assert "| evaluate | unknown | unknown |" in origins.table(facts, EN)
    facts.provenance["evaluate"]["history"] = "not readable: dubious ownership (the checkout belongs to another user)"
    assert "| evaluate | unknown (checkout of another user) | unknown |" in origins.table(facts, EN)
    facts.provenance["train_lora"]["history"] = "shallow: this commit or an older one that the clone does not have"
    assert "| train_lora | 0123456789ab or older (shallow clone) | nothing |" in origins.table(facts, EN)
    facts.provenance["train_full"] = facts.provenance["train_full"] | {"uncommitted": ["params.yaml"]}
    assert "| params.yaml |" in origins.table(facts, EN)


def test_a_model_without_a_record_is_told(facts):
    record = facts.provenance["train_lora"]
    unknown = {"revision": None, "history": NOT_RECORDED, "uncommitted": None, "inputs": dict.fromkeys(record["inputs"], UNKNOWN)}
    facts.provenance["train_lora"] = unknown | {"outputs": record["outputs"]}
    assert origins.mismatches(facts, EN) == "- The model of train_lora came from DVC's cache without its record."
    assert "| train_lora | unknown | unknown | torch unknown" in origins.table(facts, EN)
    assert render(facts, "details", "es").count("desconocido") > 2


def test_records_of_other_results_are_told_at_the_top(facts):
    facts.provenance["train_lora"]["outputs"]["models/lora"] = "other"
    facts.provenance["train_adapter"]["inputs"] = facts.provenance["train_adapter"]["inputs"] | {"machine cpu": "another"}
    text = render(facts, "report", "en")
    assert text.splitlines()[2] == "- The record of train_lora belongs to different weights from those that were evaluated."
    assert "The stages ran on different processors: another, some cpu." in text and "train_full belongs" not in text
    assert "hashes match" not in render(facts, "details", "en")
