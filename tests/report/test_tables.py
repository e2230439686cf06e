"""The report's tables hold the numbers, for few classes and many, whatever the classes are called."""

import re
from dataclasses import replace

import pandas as pd
import pytest
from sklearn.metrics import classification_report

from stages.report import classes, epochs, fits, latency, memory, tables
from stages.report.language import Language
from stages.report.stage import render
from tests.report.conftest import latency as measured
from tests.report.conftest import plan

EN = Language("en")


def test_tables_hold_the_numbers(facts):
    assert "| 1 : 45 |" in tables.parameters(facts, EN)
    assert "-0.020 (-0.030 to -0.010)" in tables.headline(facts, EN)
    assert epochs.learning_curves(facts, EN).count("(kept)") == 3
    assert "1.20 (1.18 to 1.22)" in latency.table(facts, EN)
    assert "F1 on product reviews" in tables.scores(facts, EN) and "0.7600" in tables.scores(facts, EN)


def test_two_classes_stand_beside_each_other(facts):
    text = classes.confusion(facts, EN)
    assert "| actual | full: negative | full: positive | LoRA: negative |" in text and "| negative | 99 | 1 | 99 |" in text
    report = classes.classification(facts, EN)
    assert "| negative | 100 | 0.9900 | 0.9900 | 0.9900 |" in report and "| accuracy | 180 |  |  | 0.9889 |" in report


def test_of_many_classes_the_worst_and_the_most_confused_are_shown(own_facts):
    facts = own_facts(*(f"topic {n}" for n in range(40)))
    facts.confusion["full"].loc[:4, "predicted"] = "topic 9"
    report = " ".join(render(facts, "report", "en").split())  # wherever a line ends
    assert "| topic 0 | topic 9 | 5 | 5 | 5 |" in report and "The 3 of 40 classes with the lowest mean F1" in report
    assert "topic 20" not in report
    details = render(facts, "details", "en")
    assert "The 10 largest of 40 classes:" in details and "The 10 of 40 classes with the lowest mean F1:" in details
    assert "The 10 pairs of classes most confused" in details


def test_a_dozen_classes_are_all_in_the_details(own_facts):
    facts = own_facts(*(f"topic {n}" for n in range(12)))
    details = render(facts, "details", "en")
    assert "| actual topic 11 |" in details and "largest of" not in details


def test_the_classification_report_is_that_of_scikit_learn(own_facts):
    facts = own_facts("accuracy", "macro avg", "c")  # names of its other rows
    pairs = facts.confusion["full"]
    expected = classification_report(pairs["actual"], pairs["predicted"], digits=4).splitlines()
    table = classes.classification(facts, EN)
    for row in [line.split() for line in expected if line.strip()][1:]:
        *scores, texts = row[-4:] if "accuracy" not in row or len(row) > 3 else row[-2:]
        label = " ".join(row[: len(row) - len(scores) - 1])
        assert any(line.startswith(f"| {label} | {texts} | ") and scores[-1] in line for line in table.splitlines()), row


def test_one_method_without_errors(own_facts):
    facts = own_facts("a", "b", "c", "d")
    right = facts.confusion["full"][lambda pairs: pairs["actual"] == pairs["predicted"]]
    facts = replace(facts, confusion=facts.confusion | {"lora": right})
    assert "| a | b | 1 | 0 | 1 |" in classes.confusion(facts, EN)


def test_no_error_is_no_table(own_facts):
    facts = own_facts("a", "b", "c", "d")
    right = facts.confusion["full"][lambda pairs: pairs["actual"] == pairs["predicted"]]
    facts = replace(facts, confusion=dict.fromkeys(facts.confusion, right))
    assert classes.confusion(facts, EN) == "No method confuses any class on the test set."


@pytest.mark.parametrize("name", ["__init__", "a*b*c", "x|y", "<b>bold</b>", "two\nlines", "`code`", "[link](x)", "# title"])
@pytest.mark.parametrize("others", [1, 4, 20])
def test_class_names_are_text_not_markup(own_facts, name, others):
    facts = own_facts(name, *(f"c{n}" for n in range(others)))
    for document in ("report", "details"):
        text = "\n".join(part for place, part in enumerate(render(facts, document, "en").split("```")) if place % 2 == 0)
        assert not re.search(r"(?<!\\)" + re.escape(name), text)
        rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
        starts = [place for place, line in enumerate(rows) if line.startswith("| :---")]
        assert [rows[place] for place in starts if rows[place].count("|") != rows[place - 1].count("|")] == []


def test_a_report_inside_a_fence_cannot_end_it(facts):
    facts.reports["full"] = "a class called ```\n"
    assert "````\na class called ```\n````" in render(facts, "details", "en")


def test_latency_lines_have_the_measured_ratios(facts):
    lines = latency.lines(facts, EN).splitlines()
    assert lines[0].endswith("10.0 ms (batch 1) and 80.0 ms (batch 8) at 64 tokens; 4 cases (batch x tokens).")
    assert "1.20 times as long" in lines[1] and "slower in 4 of 4 cases" in lines[1]
    assert "slower in 0 of 4 cases" in lines[2]
    assert "+20 % (LoRA) or +10 % (adapter)" in lines[4]


def test_a_single_shape_is_said_once(facts):
    lines = latency.lines(replace(facts, latency=measured((4,), (16,), 20, 0.9586)), EN).splitlines()
    assert lines[0].startswith("1. Full fine-tuning (reference), on a CPU: 40.0 ms (batch 4) at 16 tokens; 1 case ")
    assert len(lines) == 5


def test_few_rounds_decide_nothing(facts):
    few = replace(facts, latency=measured((1, 8), (16,), 2, 0.5))
    lines = latency.lines(few, EN)
    assert "2 rounds are too few to compare" in lines and "slower in" not in lines and "+20 %" not in lines
    assert "covers the true median with a probability of 50 % only" in latency.conditions(few, EN)
    assert "covers the true median with a probability of 95.9 %" in latency.conditions(facts, EN)


def test_what_fits_into_the_budget_follows_the_plan(facts, with_params):
    assert "| all-MiniLM-L6-v2 | 32 x 1 | 32 x 1 | 32 x 1 |" in fits.fitting(facts, EN)
    assert "| large | none (1 text: 1,000 MiB) | 2 x 16 | 2 x 16 |" in fits.fitting(facts, EN)
    assert fits.settings(facts, EN) == "with AWP"
    plain = replace(facts, params=with_params(awp={"enabled": False}, train={"gradient_checkpointing": True}))
    assert fits.settings(plain, EN) == "with gradient checkpointing, without AWP"
    assert "| large, LoRA | 2 x 16, 1,000 | 2 x 16, 1,000 |" in fits.plan(facts, EN)
    short = plan()
    short.loc[short["model"] == "large", "length"] = 64
    assert fits.shorter_inputs(replace(facts, plan=short), EN) == " (or as many as a model takes: large 64)"
    assert fits.published(facts, EN) == ""
    small = plan()
    small.loc[(small["model"] != "large") & (small["method"] == "lora"), "peft"] = "rank 2"
    assert fits.published(replace(facts, plan=small), EN) == " (published encoders with LoRA rank 8)"
    cannot = short[~short["gradient_checkpointing"]].reset_index(drop=True)
    assert "| cannot |" in fits.plan(replace(facts, plan=cannot), EN)


def test_lower_precisions_have_a_table_and_the_small_card_its_sentence(facts, with_params):
    table = fits.by_precision(facts, EN)
    assert "| bf16 | bf16, checkpointing | bf16, frozen weights in bf16 |" in table
    assert "| large, full fine-tuning | none (1 text: 1,000 MiB) | none (1 text: 1,000 MiB) |" in table and "| - | - |" in table
    assert "| large, LoRA | 2 x 16, 1,000 | 2 x 16, 1,000 | 2 x 16, 900 | 2 x 16, 900 | 2 x 16, 600 | 2 x 16, 600 |" in table
    said = fits.practice(facts, EN)
    assert "large, LoRA in bf16, frozen weights too" in said and "2 x 16, 600 MiB predicted (1,000 in fp32), not measured" in said
    nothing = plan()
    nothing.loc[nothing["model"] == "large", "micro_batch_size"] = 0
    assert "one text takes 600 MiB, predicted and not measured" in fits.practice(replace(facts, plan=nothing), EN)
    assert fits.practice(replace(facts, plan=plan(("this encoder",))), EN) == ""  # plan.models is empty


def test_what_fits_is_said_in_the_precision_of_the_run(facts, with_params):
    """Full fine-tuning freezes nothing, so its rows are those of the precision alone."""
    low = {"precision": "bf16", "frozen_dtype": "bf16"}
    run = replace(facts, params=with_params(awp={"enabled": False}, train=low))
    assert "| large, LoRA | 2 x 16, 600 |" in fits.plan(run, EN)
    assert "| large, full fine-tuning | none (1 text: 900 MiB) |" in fits.plan(run, EN)


def test_frozen_weights_in_nf4_have_columns_of_their_own(facts, with_params):
    """What fits is said with them, and the sentence on a small card stays about one low precision for all."""
    rows = facts.plan[(facts.plan["precision"] == "fp32") & (facts.plan["method"] != "full")]
    packed = rows.assign(frozen_dtype="nf4", peak_mib=500.0)
    run = replace(
        facts,
        params=with_params(awp={"enabled": False}, train={"frozen_dtype": "nf4"}),
        plan=pd.concat([packed, facts.plan], ignore_index=True),
    )
    assert "| large, LoRA | 2 x 16, 500 |" in fits.plan(run, EN)
    assert "| large, full fine-tuning | none (1 text: 1,000 MiB) |" in fits.plan(run, EN)
    header = fits.by_precision(run, EN).splitlines()[0]
    assert (
        "| fp32 | fp32, checkpointing | fp32, frozen weights in nf4 | fp32, frozen weights in nf4, checkpointing | bf16 |"
        in header
    )
    assert fits.practice(run, EN) == fits.practice(facts, EN) != ""
    assert "4.127 bits a weight" in fits.four_bit(run, EN) and fits.four_bit(facts, EN) == ""


def test_memory_savings_follow_the_prediction(facts):
    said = memory.saving(facts, EN)
    assert "LoRA -237 for gradients and optimizer state, -50 for activations" in said and "+10 for activations" in said
    facts.timing["full"]["peak_mib"] = 882.0
    assert "differs from it by -47.9 % to +5.0 %" in memory.measured(facts, EN)
