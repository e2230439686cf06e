"""What the report says of seeds: with a study its verdicts, without one that it rests on a single seed."""

from dataclasses import replace

import pytest

from stages.report import series, study, tables, verdicts
from stages.report.facts import Facts
from stages.report.language import Language
from stages.report.stage import render
from tests.report.conftest import unlearned

EN = Language("en")
SERIES = ("rates", "conditions", "splits", "rows", "dose", "targets", "crosscheck")
METHODS = {"full": 0.88, "lora": 0.878, "adapter": 0.86, "head": 0.7}


def summary(facts: Facts) -> dict:
    """A finished study of this run: LoRA not decided, the adapter worse, both better where full fine-tuning is handicapped."""
    read = facts.provenance["train_full"]["inputs"]
    values: dict = {"train_sha256": read["data/processed/train.arrow"], "base_sha256": read["models/base"]}
    values |= {f"peft_{key}": value for key, value in facts.params.peft.model_dump().items()}
    values |= {"cells_planned": 319, "cells_finished": 312, "cells_missing": 7, "complete": True}
    values |= {"conditions_rows": 7049, "conditions_epochs": 3}
    values |= {f"{series}_complete": True for series in SERIES} | {"margin": 0.01, "confidence": 0.95}
    values |= {"tests_made": 16, "tests_planned": 16}
    for setting in ("none", "mixout", "awp", "both"):
        handicap = 0.1 if setting in ("awp", "both") else 0.0
        for method, f1 in METHODS.items():
            key, f1 = f"{setting}_{method}", f1 - handicap * (method == "full")
            values |= around(f"{key}_f1", f1) | {f"{key}_f1_sd": 0.004, f"{key}_seeds": 5}
            if method != "full":
                values |= around(f"{key}_minus_full", f1 - METHODS["full"] + handicap)
        values[f"{setting}_lora_verdict"] = "better" if handicap else "not decided"
        values[f"{setting}_adapter_verdict"] = "better" if handicap else "worse"
    for method, cosine in {"full": -0.06, "lora": 1.0, "adapter": 0.9}.items():
        values |= {f"dose_{method}_trainable_0.01_cosine": cosine, f"rate_none_{method}": 5e-5}
    values |= {"rate_none_lora_to_full": 20.0, "rate_none_adapter_to_full": 80.0}
    values |= {f"target_{target}_trainable": 150_000 for target in ("attention", "feed_forward", "all")}
    values |= around("target_feed_forward_minus_attention", -0.03) | around("target_all_minus_attention", 0.002)
    for method in ("lora", "adapter"):
        values |= around(f"splits_none_{method}_minus_full", -0.004)
    crosscheck = {"study_f1": 0.88, "plain_f1": 0.875, "difference": 0.005, "spread": 0.01, "agrees": True}
    return values | {f"crosscheck_{key}": value for key, value in crosscheck.items()}


def around(key: str, value: float) -> dict:
    return {key: value, f"{key}_low": value - 0.008, f"{key}_high": value + 0.008}


def test_without_a_study_the_report_says_that_it_rests_on_one_seed(facts):
    assert study.state(facts) == "none"
    text = " ".join(render(facts, "report", "en").split())
    assert "**This comparison rests on one seed:**" in text and "at the same epsilon is not the same treatment" in text
    assert "(trained parameters: 900, 20, 30)" in text  # of the metric files
    assert "together change macro F1 by full -0.030, LoRA +0.000, adapter +0.000 (one seed" in text
    assert "it moves by 1 % of its norm" in text and "has not run here" in text
    assert "Esta comparación se apoya en una sola semilla" in " ".join(render(facts, "report", "es").split())
    assert "seeds)" not in tables.headline(facts, EN)


def test_without_awp_the_treatment_is_the_same(own_facts):
    facts = own_facts("a", "b", awp={"enabled": False})
    assert "rests on one seed" in study.caveat(facts, EN) and "epsilon" not in study.caveat(facts, EN)


def test_a_finished_study_gives_the_answer(facts):
    facts = replace(facts, study=summary(facts))
    assert study.state(facts) == "finished"
    text = " ".join(render(facts, "report", "en").split())
    assert "LoRA: not decided without AWP and mixout, -0.002 (-0.010 to +0.006); better with both, +0.098" in text
    assert "The adapter: worse without AWP and mixout, -0.020" in text and "16 tests, corrected together" in text
    assert "rests on one seed" not in text and "cannot be told apart" not in text and "A loss of quality is shown" not in text
    assert "cosine of -0.06 in full fine-tuning, 1.00 in LoRA, 0.90 in the adapter" in text
    table = tables.headline(facts, EN)
    assert "| LoRA, as the practical asks (this run) | 0.860 (0.850 to 0.870) | -0.020 (-0.030 to -0.010) | 20 |" in table
    assert "| LoRA, without AWP and mixout (5 seeds) | 0.878 (0.870 to 0.886) | -0.002 (-0.010 to +0.006) | - |" in table


def test_the_analysis_says_whether_the_order_turns_round(facts):
    facts = replace(facts, study=summary(facts))
    said = verdicts.given_up(facts, EN)
    assert "over 5 seeds, minus that of full fine-tuning: without AWP and mixout LoRA -0.002 (not decided) and" in said
    assert "with both LoRA +0.098 (better)" in said
    change = "full fine-tuning by -0.100, of LoRA by +0.000, of the adapter by +0.000"
    assert f"{change}: the differences change their sign with them." in said
    same = facts.study | around("both_lora_minus_full", -0.01) | around("both_adapter_minus_full", -0.01)
    assert f"{change}." in verdicts.given_up(replace(facts, study=same), EN)
    facts.study.pop("both_adapter_verdict")
    assert "with both" not in verdicts.given_up(facts, EN)


def test_pictures_stand_where_there_is_something_in_them(facts):
    assert study.picture(facts, EN) == study.caption(facts, EN) == "" and "plots/study" not in render(facts, "report", "en")
    facts = replace(facts, study=summary(facts) | {"dose_complete": False})
    details = render(facts, "details", "en")
    assert "plots/study/differences.png" in details and "plots/study/rows.png" in details
    assert "![dose]" not in details
    report = render(facts, "report", "en")
    assert "(plots/study/differences.png) ![Macro F1 against" in report
    assert "over seeds and texts); *minus full*" in " ".join(report.split())


def test_the_length_of_the_trainings_stands_beside_the_conditions_and_this_runs_own_score(facts, own_facts):
    """Three epochs there, six here: what AWP costs full fine-tuning depends on it, where both numbers say so."""
    facts = replace(facts, study=summary(facts))
    here = facts.quality["full"]["f1"]
    for document in ("report", "details"):
        text = " ".join(render(facts, document, "en").split())
        assert "The study trains 3 epochs on 7,049 rows, this run up to 6." in text
        assert (
            f"needs more steps than the others to leave chance: its F1 with both is 0.780 there, {here:.3f} in this run." in text
        )
    for change in ({"conditions_epochs": 6}, {"both_full_f1": 0.875}, {"both_full_f1": here}):
        other = verdicts.answer(replace(facts, study=facts.study | change), EN)
        assert "leave chance" not in other and f"there, {here:.3f} in this run." in other
    plain = own_facts("a", "b", awp={"enabled": False})
    said = verdicts.answer(replace(plain, study=summary(plain)), EN)
    assert "this run up to 6." in said and "With both" not in said and "leave chance" not in said


def test_the_details_have_every_setting_and_the_smaller_series(facts):
    facts = replace(facts, study=summary(facts))
    text = " ".join(render(facts, "details", "en").split())
    assert "| AWP | head only | 0.700 (0.692 to 0.708) | 0.0040 | -0.080 (-0.088 to -0.072) | - |" in text
    assert "LoRA 5e-05 (20 times that of full)" in text and "expect about 10 times" in text
    assert (
        "feed-forward blocks -0.030 (-0.038 to -0.022), behind; all linear layers +0.002 (-0.006 to +0.010), not told apart"
        in text
    )
    assert "A plain Trainer recipe, 0.875, agrees" in text and "On other splits" in text
    facts.study["crosscheck_agrees"] = False
    assert "DISAGREES" in series.others(facts, EN)


@pytest.mark.parametrize(
    "change",
    [{"train_sha256": "other"}, {"base_sha256": "other"}, {"peft_rank": 4}, {"peft_bottleneck": 32}, {"peft_rank": None}],
)
def test_a_study_of_something_else_is_not_quoted(facts, change):
    facts = replace(facts, study=summary(facts) | change)
    assert study.state(facts) == "elsewhere" and not study.told(facts)
    text = render(facts, "report", "en")
    assert (
        "rests on one seed" in text and "about other texts, another encoder" in " ".join(text.split()) and "5 seeds" not in text
    )


def without(values: dict, *beginnings: str) -> dict:
    return {key: value for key, value in values.items() if not key.startswith(beginnings)}


def test_of_an_unfinished_study_only_what_is_finished_is_quoted(facts):
    """None of the conditions; then without regularizers, with a method still to come under both; then both too."""
    unfinished = summary(facts) | {"complete": False, "conditions_complete": False}
    facts = replace(facts, study=without(unfinished, "none_", "mixout_", "awp_", "both_", "tests_"))
    text = " ".join(render(facts, "report", "en").split())
    assert "rests on one seed" in text and "7 of 319 cells are missing" in text and "5 seeds" not in text

    left = without(unfinished, "mixout_", "awp_", "both_full", "both_lora", "both_adapter_minus", "both_adapter_verdict")
    facts = replace(facts, study=left | {"tests_made": 4})
    text = " ".join(render(facts, "report", "en").split())
    assert "LoRA: not decided without AWP and mixout, -0.002 (-0.010 to +0.006). " in text and "rests on one seed" not in text
    assert "4 of 16 tests so far, corrected together (Holm)" in text and "with both" not in text
    assert "7 of 319 cells are missing" in text and "5 seeds)" in tables.headline(facts, EN)
    details = " ".join(render(facts, "details", "en").split())
    assert "| both | adapter | 0.860 (0.852 to 0.868) | 0.0040 | - | - |" in details and "| AWP | LoRA |" not in details

    facts = replace(facts, study=without(unfinished, "mixout_", "awp_") | {"tests_made": 8})
    assert "better with both, +0.098" in render(facts, "report", "en")


def test_no_comparison_needs_no_caveat(own_facts):
    assert study.caveat(unlearned(own_facts("a", "b"), "full"), EN) == ""


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((0.05, 0.0, -0.02), "[7,049], which crosses full fine-tuning between 250 and 7,049 rows"),
        ((-0.05, 0.03, -0.02), "crosses full fine-tuning between 250 and 1,000 rows and between 1,000 and 7,049 rows"),
        ((0.05, 0.03, 0.002), "[7,049], ahead at 250 and 1,000 rows and nowhere behind"),
        ((0.0, -0.03, -0.02), "behind at 1,000 and 7,049 rows and nowhere ahead"),
        ((0.001, -0.002, 0.003), "LoRA +0.001 (-0.007 to +0.009) [250], -0.002 (-0.010 to +0.006) [1,000], +0.003"),
        ((0.001, -0.002, 0.003), "[7,049], nowhere told apart"),
    ],
)
def test_where_the_learning_curves_cross(facts, differences, said):
    values = summary(facts)
    for prefix, difference in zip(("rows_250", "rows_1000", "none"), differences, strict=True):
        values |= around(f"{prefix}_full_f1", 0.7) | around(f"{prefix}_lora_minus_full", difference)
    text = series.others(replace(facts, study=values), EN)
    assert said in text and "not corrected: LoRA" in text and "adapter +" not in text  # the adapter's curve is not finished
