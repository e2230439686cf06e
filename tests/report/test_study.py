"""What the report says of seeds: with a study its verdicts, without one that it rests on a single seed."""

from dataclasses import replace

import pytest

from stages.report import factors, series, study, tables, verdicts
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
        for method, word in {"lora": "not decided", "adapter": "worse"}.items():
            word = "better" if handicap else word
            key = f"{setting}_{method}"
            values |= {f"{key}_verdict": word, f"{key}_verdict_pooled": word}
            values |= {f"{key}_seed_variance_zero": False, f"{key}_smallest_margin": 0.0123}
    for change, lost in {"": 0.1, "none_mixout_": 0.0, "none_awp_": 0.1, "awp_both_": 0.0}.items():
        values |= around(f"change_{change}head", 0.003) | around(f"change_{change}full", 0.002 - lost)
        values |= around(f"change_{change}lora", 0.004) | around(f"change_{change}adapter", 0.005)
    values |= around("change_full", -0.1) | around("change_lora", 0.001) | around("change_adapter", 0.002)
    values |= around("interaction_lora", 0.101) | around("interaction_adapter", 0.102)
    for method, cosine in {"full": -0.06, "lora": 1.0, "adapter": 0.9}.items():
        values |= {f"both_{method}_cosine": cosine}
        for condition in ("none", "both"):
            values |= {f"rate_{condition}_{method}": 5e-5, f"rate_{condition}_{method}_lead": 0.004}
        values |= seeds(f"dose_{method}_off_validation_f1", 0.78)
        for target in ("trainable",) if method == "full" else ("trainable", "all"):
            handicap = 40 * (method == "full" or target == "all")
            for epsilon in (0.01, 0.0003):
                values |= seeds(f"dose_{method}_{target}_{epsilon:g}_validation_f1", 0.78 - handicap * epsilon)
    values |= {f"dose_full_{kind}_validation_f1": 0.4 for kind in ("rows", "exclude", "box")}
    values |= {
        "dose_rows": 1000,
        "dose_epochs": 3,
        "dose_seeds": 3,
        "dose_box": 0.01,
        "dose_box_moved": 9.3e-05,
        "dose_variants_epsilon": 0.01,
    }
    values |= {"conditions_awp_epsilon": 0.01, "conditions_awp_target": "trainable", "conditions_awp_embeddings": "tensor"}
    values |= {
        "rates_seeds": 1,
        "rates_none_rows": 2750,
        "rates_both_rows": 7049,
        "targets_seeds": 3,
        "targets_rows": 1250,
        "splits_number": 3,
        "splits_rows": 3000,
    }
    for condition in ("none", "both"):
        values |= {f"rate_{condition}_lora_to_full": 20.0, f"rate_{condition}_adapter_to_full": 80.0}
    for target in ("attention", "feed_forward", "all"):
        values |= {f"target_{target}_trainable": 150_000, f"target_{target}_rate_inside_grid": True}
    values |= around("target_feed_forward_minus_attention", -0.03) | around("target_all_minus_attention", 0.002)
    for method in ("lora", "adapter"):
        values |= around(f"splits_none_{method}_minus_full", -0.004)
    crosscheck = {"study_f1": 0.88, "plain_f1": 0.875, "difference": 0.005, "sd": 0.004, "reach": 0.01, "agrees": True}
    crosscheck |= {"study_seeds": 5, "plain_seeds": 1}
    return values | {f"crosscheck_{key}": value for key, value in crosscheck.items()}


def around(key: str, value: float) -> dict:
    return {key: value, f"{key}_low": value - 0.008, f"{key}_high": value + 0.008}


def seeds(key: str, mean: float) -> dict:
    return {key: mean, f"{key}_min": mean - 0.01, f"{key}_max": mean + 0.02}


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
    assert (
        "LoRA: without AWP and mixout -0.002 (-0.010 to +0.006), not decided; with both +0.098 (+0.090 to +0.106), better."
        in text
    )
    assert (
        "The adapter: without AWP and mixout -0.020 (-0.028 to -0.012), worse;" in text
        and "16 tests (of difference, and of equivalence within 0.01), corrected together" in text
    )
    assert "rests on one seed" not in text and "cannot be told apart" not in text
    assert "without dropout) of -0.06 in full fine-tuning, 1.00 in LoRA, 0.90 in the adapter: 1 is the same" in text
    assert "on 1,000 rows full fine-tuning has a validation F1 of 0.780 without AWP, 0.380 with it, and 0.400 with the" in text
    table = tables.headline(facts, EN)
    assert "| LoRA, as the practical asks (this run) | 0.860 (0.850 to 0.870) | -0.020 (-0.030 to -0.010) | 20 |" in table
    assert (
        "| LoRA, without AWP and mixout (study: 5 seeds, 3 epochs) | 0.878 (0.870 to 0.886) | -0.002 (-0.010 to +0.006) | - |"
        in table
    )


def test_the_analysis_says_whether_the_order_turns_round(facts):
    facts = replace(facts, study=summary(facts))
    said = verdicts.given_up(facts, EN)
    assert said.startswith("This run has one seed and trains up to 6 epochs. A loss of quality is shown for LoRA")
    assert "changes by -0.100 (-0.108 to -0.092) in full fine-tuning, +0.001 (-0.007 to +0.009) in LoRA, +0.002" in said
    change = "by +0.101 (+0.093 to +0.109) (LoRA) and +0.102 (+0.094 to +0.110) (adapter); 95 % intervals, not corrected."
    assert f"{change} The mean differences change their sign." in said  # without both, LoRA's interval includes 0
    assert "LoRA -0.002 (-0.010 to +0.006), not decided; the adapter -0.020 (-0.028 to -0.012), worse." in said
    apart = facts.study | around("none_lora_minus_full", -0.02)
    assert f"{change} The differences change their sign." in verdicts.given_up(replace(facts, study=apart), EN)
    same = facts.study | around("both_lora_minus_full", -0.01) | around("both_adapter_minus_full", -0.01)
    assert "change their sign" not in verdicts.given_up(replace(facts, study=same), EN)
    facts.study.pop("both_adapter_verdict")
    assert "with both" not in verdicts.given_up(facts, EN)


def test_each_regularizer_is_told_alone_where_it_was_trained_alone(facts):
    facts = replace(facts, study=summary(facts))
    assert "Alone, mixout changes full fine-tuning by +0.002 (-0.006 to +0.010), AWP by -0.098 (" in verdicts.given_up(facts, EN)
    lines = factors.table(facts, EN).splitlines()
    assert lines[-4].startswith("| neither to mixout | +0.002 (-0.006 to +0.010) | +0.004 (-0.004 to +0.012) | +0.005 (")
    assert [line.split(" | ")[0] for line in lines[-3:]] == ["| AWP to both", "| neither to AWP", "| neither to both"]
    for key in [key for key in facts.study if key.startswith(("change_none_awp", "change_awp_both"))]:
        facts.study.pop(key)
    assert "Alone" not in verdicts.given_up(facts, EN)
    assert [line.split(" | ")[0] for line in factors.table(facts, EN).splitlines()[-2:]] == [
        "| neither to mixout",
        "| neither to both",
    ]
    for key in [key for key in facts.study if key.startswith("change_")]:
        facts.study.pop(key)
    assert factors.table(facts, EN) == ""


def test_pictures_stand_where_there_is_something_in_them(facts):
    assert study.picture(facts, EN) == study.caption(facts, EN) == "" and "plots/study" not in render(facts, "report", "en")
    facts = replace(facts, study=summary(facts) | {"dose_complete": False})
    details = render(facts, "details", "en")
    assert "plots/study/differences.png" in details and "plots/study/rows.png" in details
    assert "![dose]" not in details
    report = render(facts, "report", "en")
    assert "(plots/study/differences.png) ![Macro F1 against" in report
    assert "widened for the few seeds); *minus full*" in " ".join(report.split())


def with_slow_start(facts: Facts, *methods: str) -> Facts:
    """The facts of a run in which the first epoch of these methods is worse than guessing."""
    slow = facts.curves["full"].copy()
    slow.loc[slow["epoch"].idxmin(), "f1"] = 0.1
    return replace(facts, curves=facts.curves | dict.fromkeys(methods, slow))


def test_the_length_of_the_trainings_stands_beside_the_conditions_and_this_runs_own_score(facts, own_facts):
    """Three epochs there, six here: what AWP costs full fine-tuning depends on it, where the numbers say so."""
    facts = with_slow_start(replace(facts, study=summary(facts)), "full")
    here = facts.quality["full"]["f1"]
    late = f"over which the learning rate falls to 0, and {here:.3f} after up to 6 in this run (one seed)."
    for document in ("report", "details"):
        text = " ".join(render(facts, document, "en").split())
        assert "over 5 seeds, 3 epochs on 7,049 rows, minus full fine-tuning trained in the same condition" in text
        said = f"more steps than the others to rise above chance: with both it has 0.780 after those 3 epochs, {late}" in text
        assert said == (document == "details")
    others = [with_slow_start(facts, "lora"), replace(facts, curves=dict.fromkeys(facts.curves, facts.curves["lora"]))]
    for change in ({"conditions_epochs": 6}, {"both_full_f1": 0.875}, {"both_full_f1": here}):
        others.append(replace(facts, study=facts.study | change))
    for other in others:
        said = verdicts.table(other, EN)
        assert "above chance" not in said and f"epochs, {here:.3f} after up to 6 in this run." in said
    plain = own_facts("a", "b", awp={"enabled": False})
    said = verdicts.table(replace(plain, study=summary(plain)), EN)
    assert "This run trains up to 6 epochs." in said and "ith both it" not in said and "above chance" not in said


def test_the_details_have_every_setting_and_the_smaller_series(facts):
    facts = replace(facts, study=summary(facts))
    text = " ".join(render(facts, "details", "en").split())
    assert "| AWP | head only | 0.700 (0.692 to 0.708) | 0.0040 | -0.080 (-0.088 to -0.072) | - | - |" in text
    assert "| neither | LoRA | 0.878 (0.870 to 0.886) | 0.0040 | -0.002 (-0.010 to +0.006) | not decided | ±0.012 |" in text
    assert "ahead of the next by 0.0040, 0.0040 and 0.0040 (2,750 training rows); with both full 5e-05" in text
    assert "95 % intervals over 3 seeds, not over texts; 1,250 training rows" in text and "beyond those tried" not in text
    assert "LoRA 5e-05 (20 times that of full)" in text and "expects about 10 times" in text
    assert "feed-forward blocks -0.030 (-0.038 to -0.022), interval below 0; all linear layers +0.002 (-0.006 to +0.010)," in text
    assert (
        "| epsilon | without AWP | 0.0003 | 0.01 |" in text
        and "(`awp.box`), which moves the weights by 0.0093 % of their norm only, 0.400" in text
    )
    row = "0.780 (0.770 to 0.800) | 0.768 (0.758 to 0.788) | 0.380 (0.370 to 0.400) |"
    assert f"| full fine-tuning | {row}" in text and f"| LoRA, all weights | {row}" in text
    assert "| LoRA | 0.780 (0.770 to 0.800) | 0.780 (0.770 to 0.800) | 0.780" in text
    assert (
        "A plain recipe with the Trainer of transformers, 0.875, is not told from" in text
        and "On 3 other splits of the same rows, with 3,000 for training" in text
    )
    assert "is within ±0.010, the 95 % interval for the means of 1 and 5 runs with a standard deviation between" in text
    facts.study.update({f"target_{target}_rate_inside_grid": False for target in ("attention", "feed_forward", "all")})
    facts.study.update(crosscheck_agrees=False)
    said = series.others(facts, EN)
    assert (
        "DISAGREES" in said
        and "a better rate may lie beyond those tried for attention, feed-forward blocks and all linear layers" in said
    )


def test_what_another_estimate_of_the_variance_would_decide_is_told(facts):
    facts = replace(facts, study=summary(facts))
    table = verdicts.table(facts, EN)
    assert "every verdict stays what it is." in table and "estimated as 0" not in table
    facts.study.update(none_lora_verdict_pooled="worse", both_lora_seed_variance_zero=True)
    table = verdicts.table(facts, EN)
    assert "the verdict would change for LoRA without AWP and mixout (“worse”)." in table
    assert "between seeds of the difference was estimated as 0 for LoRA with both:" in table


@pytest.mark.parametrize(
    "change", [{"epsilon": 0.001}, {"target": "all"}, {"embeddings": "rows"}, {"box": 0.01}, {"enabled": False}]
)
def test_gradients_under_another_awp_are_not_quoted(own_facts, change):
    facts = own_facts("a", "b")
    assert "0.90 in the adapter" in study.treatment(replace(facts, study=summary(facts)), EN)
    other = own_facts("a", "b", awp=change)
    assert study.treatment(replace(other, study=summary(other)), EN) == ""


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
    assert "rests on one seed" in text and "7 of 319 trainings are missing" in text and "5 seeds" not in text

    left = without(
        unfinished,
        "mixout_",
        "awp_",
        "both_full",
        "both_lora",
        "both_adapter_minus",
        "both_adapter_verdict",
        "both_adapter_smallest",
    )
    facts = replace(facts, study=left | {"tests_made": 4})
    text = " ".join(render(facts, "report", "en").split())
    assert "LoRA: without AWP and mixout -0.002 (-0.010 to +0.006), not decided. " in text and "rests on one seed" not in text
    assert "4 tests of 16 planned (of difference" in text and "with both" not in text
    assert "7 of 319 trainings are missing" in text and "study: 5 seeds, 3 epochs)" in tables.headline(facts, EN)
    details = " ".join(render(facts, "details", "en").split())
    assert "| both | adapter | 0.860 (0.852 to 0.868) | 0.0040 | - | - | - |" in details and "| AWP | LoRA |" not in details

    facts = replace(facts, study=without(unfinished, "mixout_", "awp_") | {"tests_made": 8})
    assert "with both +0.098 (+0.090 to +0.106), better" in render(facts, "report", "en")


def test_no_comparison_needs_no_caveat(own_facts):
    assert study.caveat(unlearned(own_facts("a", "b"), "full"), EN) == ""


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((0.05, 0.0, -0.02), "[7,049], which appears to cross full fine-tuning between 250 and 7,049 rows"),
        ((-0.05, 0.03, -0.02), "appears to cross full fine-tuning between 250 and 1,000 rows and between 1,000 and 7,049 rows"),
        ((0.05, 0.03, 0.002), "[7,049]: interval above 0 at 250 and 1,000 rows, nowhere below"),
        ((0.0, -0.03, -0.02), "interval below 0 at 1,000 and 7,049 rows, nowhere above"),
        ((0.001, -0.002, 0.003), "LoRA +0.001 (-0.007 to +0.009) [250], -0.002 (-0.010 to +0.006) [1,000], +0.003"),
        ((0.001, -0.002, 0.003), "[7,049]: every interval includes 0"),
    ],
)
def test_where_the_learning_curves_cross(facts, differences, said):
    values = summary(facts)
    for prefix, difference in zip(("rows_250", "rows_1000", "none"), differences, strict=True):
        values |= around(f"{prefix}_full_f1", 0.7) | around(f"{prefix}_lora_minus_full", difference)
    text = series.others(replace(facts, study=values), EN)
    assert said in text and "not corrected: LoRA" in text and "adapter +" not in text  # the adapter's curve is not finished
