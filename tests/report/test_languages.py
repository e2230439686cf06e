"""The two reports say the same: the same numbers, in every kind of run, on at most three printed pages each."""

import re
from collections import Counter
from dataclasses import replace
from string import Formatter

import pytest

from stages.presentation.titles import METHOD_LABELS
from stages.report.language import LANGUAGES, Language, sentences
from stages.report.stage import TEMPLATES, render
from tests.report.conftest import latency, plan, unlearned
from tests.report.test_study import SERIES, summary, without

THREE_PAGES = 160  # lines, without what a GPU showed
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]\d+)?")
FIVE, FORTY = [f"star {n}" for n in range(1, 6)], [f"topic {n}" for n in range(1, 41)]


def fields(text: str) -> set[str]:
    return {name.lower() for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_sentences_with_the_same_fields():
    english, spanish = map(sentences, LANGUAGES)
    assert list(english) == list(spanish)
    assert [name for name in english if fields(english[name]) != fields(spanish[name])] == []


def test_tables_have_the_same_columns_in_both_languages():
    english, spanish = map(sentences, LANGUAGES)
    headers = [name for name in english if name.startswith("header.")]
    assert headers and [name for name in headers if english[name].count("|") != spanish[name].count("|")] == []


def test_the_english_labels_are_those_of_the_figures():
    assert {arm: Language("en").label(arm) for arm in METHOD_LABELS} == METHOD_LABELS


def test_templates_choose_nothing():
    """What is said depends on the facts, and is chosen once for both languages, in Python."""
    assert [path.name for path in TEMPLATES.iterdir() if "{%" in path.read_text(encoding="utf-8")] == []


def nothing_learned(facts, own):
    everything = unlearned(own(*FORTY), "full", "lora", "adapter")
    warning = f" % of the texts are longer than data.max_length (128 tokens); {'so ' * 90}"
    everything.data["warnings"] = [f"{n}{warning}" for n in range(4)]
    return replace(everything, plan=PUBLISHED)


def rate_by_hand(facts, own):
    facts.training["lora"]["learning_rate"] = 1e-4
    return facts


def two_processes(facts, own):
    for log in facts.training.values():
        log.update(processes=2, accumulation_steps=1)
    return facts


def given_splits(facts, own):
    given = own("a", "b")
    given.data.update(dropped_in_other_split=7, dropped_new_rule=2, truncated_percent=0.001, train_unknown_token_share=0.4)
    given.data["leaking_rows_after_truncation"]["train_test"] = 3
    return given


def another_record(facts, own):
    facts.provenance["train_lora"]["outputs"]["models/lora"] = "other"
    return facts


def on_a_gpu(facts, own):
    facts.conditions["machine"].update(device="NVIDIA H100")
    return facts


def study_of(facts, **changes):
    return replace(facts, plan=PUBLISHED, study=summary(facts) | changes)


def begun(facts, own):
    return study_of(facts, **dict.fromkeys(("complete", *(f"{s}_complete" for s in SERIES)), False))


def one_condition(facts, own):
    facts = begun(facts, own)
    return replace(facts, study=without(facts.study, "mixout_", "awp_", "both_") | {"tests_made": 4})


PUBLISHED = plan(("this encoder", "DistilBERT", "BERT-base", "RoBERTa-large"))
RUNS = {
    "embedded": lambda facts, own: replace(facts, plan=PUBLISHED),
    "tuned elsewhere": lambda facts, own: replace(facts, learning_rates=facts.learning_rates.assign(setting="other")),
    "own, two classes": lambda facts, own: own("ham", "spam"),
    "own, five classes": lambda facts, own: own(*FIVE),
    "own, forty classes": lambda facts, own: own(*FORTY),
    "nothing learned, forty classes": nothing_learned,
    "the reference did not learn": lambda facts, own: unlearned(own("ham", "spam"), "full"),
    "the adapter did not learn": lambda facts, own: unlearned(own("ham", "spam"), "adapter"),
    "no regularizers": lambda facts, own: own("a", "b", awp={"enabled": False}, mixout={"enabled": False}),
    "one cell, few rounds": lambda facts, own: replace(own("a", "b"), latency=latency((4,), (16,), 2, 0.5)),
    "rate by hand": rate_by_hand,
    "two processes": two_processes,
    "splits given": given_splits,
    "another record": another_record,
    "on a GPU": on_a_gpu,
    "study finished": lambda facts, own: study_of(facts),
    "study of the conditions only": lambda facts, own: study_of(facts, complete=False, rates_complete=False),
    "study begun": begun,
    "study of one condition": one_condition,
    "study of other settings": lambda facts, own: study_of(facts, peft_rank=4),
    "LoRA everywhere, parallel adapter": lambda facts, own: own(
        "a", "b", peft={"target": "all", "use_rslora": True, "init": "pissa", "adapter": "parallel"}
    ),
    "DoRA, two adapters": lambda facts, own: own("a", "b", peft={"use_dora": True, "init": "olora", "adapter": "houlsby"}),
    "LoRA beside feed-forward blocks": lambda facts, own: own("a", "b", peft={"target": "feed_forward", "init": "orthogonal"}),
    "window, class weights": lambda facts, own: own("a", "b", awp={"window_start": 0.25}, train={"class_weights": "balanced"}),
}


def numbers(text: str) -> Counter:
    return Counter(NUMBER.findall(text))


def sections(text: str) -> list[str]:
    return re.split(r"^## ", text, flags=re.MULTILINE)


@pytest.mark.parametrize("document", ["report", "details"])
@pytest.mark.parametrize("run", RUNS)
def test_both_reports_have_the_same_numbers_in_every_section(facts, own_facts, run, document):
    chosen = RUNS[run](facts, own_facts)
    english, spanish = (sections(render(chosen, document, code)) for code in LANGUAGES)
    assert len(english) == len(spanish) > 6
    differences = [
        (numbers(one) - numbers(other), numbers(other) - numbers(one)) for one, other in zip(english, spanish, strict=True)
    ]
    assert [different for different in differences if any(different)] == []


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("run", RUNS)
def test_a_report_fits_on_three_pages_with_five_lines_on_latency(facts, own_facts, run, code):
    text = render(RUNS[run](facts, own_facts), "report", code)
    assert text.count("\n") <= THREE_PAGES
    (latency_part,) = [part for part in sections(text) if part.startswith("9. ")]
    assert [line[:3] for line in latency_part.strip().splitlines()[1:]] == ["1. ", "2. ", "3. ", "4. ", "5. "]
    assert not re.search(r"[{}]|\bNone\b|\bnan\b", text)
    prose = [line for line in text.splitlines() if not line.startswith(("|", "!"))]
    assert [line for line in prose if len(line) > 130] == []
