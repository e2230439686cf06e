"""The model card: it says what it was given, the Hub's own library reads it back, and it holds nothing of the machine."""

from dataclasses import replace

import pytest
import yaml

from stages.export.card import model_card
from stages.export.facts import CardFacts, TestScores
from stages.export.terms import BaseFacts, read_base_facts
from stages.project.schema import Params
from tests.export.reading import parse_card

SCORES = {"accuracy": 0.87654321, "precision": 0.75, "recall": 0.7, "f1": 0.725}
BY_CLASS = {"negative": 0.7, "positive": 0.52}
TEST = TestScores(SCORES | {"f1": 0.61, "f1_low": 0.59, "f1_high": 0.63}, {"a|b": 0.4}, 2014, BY_CLASS, {"roc_auc": 0.91}, [])


def facts(method: str, params: Params, **others) -> CardFacts:
    training = {
        "best_epoch": 5,
        "epochs_trained": 6,
        "learning_rate": getattr(params.train.learning_rate, method),
        "micro_batch_size": 8,
        "processes": 2,
        "total_parameters": 22_861_442,
        "trainable_parameters": 148_226,
        "trainable_body_parameters": 147_456,
        "trainable_head_parameters": 770,
        "trainable_percent": 0.648367,
    }
    found = CardFacts(
        method=method,
        params=params,
        labels=["negative", "positive"],
        training=training,
        validation=SCORES,
        rows={"train": [3, 1], "validation": [0, 0]},
        base=BaseFacts("apache-2.0"),
        test=None,
    )
    return replace(found, **others)


@pytest.mark.parametrize(
    ("method", "library", "own", "rate"),
    [
        ("full", "transformers", "every weight of encoder and head is trained", "5e-05"),
        ("lora", "transformers", "rank 8, alpha 16, dropout 0,", "0.002"),
        ("adapter", "peft", "bottleneck 64, GELU", "0.004"),
    ],
)
def test_front_matter_and_content(params, method, library, own, rate):
    text = model_card(facts(method, params))
    front, sections = parse_card(text)
    assert front == yaml.safe_load(text.split("---\n")[1])
    assert (front["library_name"], front["pipeline_tag"]) == (library, "text-classification")
    assert (front["license"], front["language"]) == ("apache-2.0", "en")
    assert front["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert front["exported_from"] == f"models/{method}"
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["split"] == "validation"
    assert {row["type"]: row["value"] for row in result["metrics"]} == SCORES | {"accuracy": 0.876543}
    assert "| all | 4 | 0 |" in sections["Data"] and "| negative | 3 (75.0 %) | 0 (0.0 %) |" in sections["Data"]
    assert own in sections["Training"] and f"| learning rate | {rate}, warm-up 6 %" in sections["Training"]
    assert "147,456 in the encoder, 770 in the head: 148,226 of 22,861,442 (0.65 %)" in sections["Training"]
    assert "in micro-batches of 8 on each of 2 processes" in sections["Training"]
    assert "kept: 5" in sections["Training"] and "| seed | 13 |" in sections["Training"]
    assert "| macro F1 | 0.7250 |" in sections["Scores"] and "No scores on the test set" in sections["Scores"]
    assert f'"{method}"' in sections["How to load it"]
    assert "Unicode form NFC, with single spaces" in sections["How to load it"]
    assert "MIT" in sections["Licence"] and "`apache-2.0`" in sections["Licence"]


def test_scores_on_the_test_set_have_an_interval_and_come_first_in_the_front_matter(params):
    front, sections = parse_card(model_card(facts("full", params, test=TEST)))
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["split"] == "test" and result["metrics"][-1]["value"] == 0.61
    shown = sections["Scores"]
    assert "| macro F1 | 0.7250 |" in shown and "| macro F1 | 0.6100 |" in shown and "| a\\|b | 0.4000 |" in shown
    assert "with positive as the positive class" in shown and "| ROC AUC | 0.9100 |" in shown
    assert "| positive | 1 (25.0 %) | 0 (0.0 %) | 0.5200 |" in sections["Data"]
    assert "test set of 2,014 texts" in shown and "0.590 and 0.630 (95 % bootstrap" in shown


@pytest.mark.parametrize("reason", ["majority", "guessing", "classes"])
def test_a_model_that_did_not_learn_says_so_before_anything_else(params, reason):
    _, sections = parse_card(model_card(facts("full", params, test=replace(TEST, failed=[reason]))))
    assert sections[""].split("\n\n")[-1].startswith("**Do not use this model: its evaluation does not show that it learned")
    _, sections = parse_card(model_card(facts("full", params, test=TEST)))
    assert "Do not use" not in sections[""]


@pytest.mark.parametrize(("source", "language"), [("package", "en"), ("csv", None), ("hub", None)])
def test_the_language_is_said_only_of_texts_whose_language_is_known(with_params, source, language):
    content = with_params().model_dump()
    content["data"]["source"] = source
    content["data"]["hub"]["revision"] = "a" * 40
    front, _ = parse_card(model_card(facts("full", Params.model_validate(content))))
    assert front.get("language") == language


def test_many_classes_have_a_line_each_and_are_not_in_the_title(params):
    names = [f"topic {k}" for k in range(50)]
    rows = {"train": list(range(50))}
    text = model_card(facts("full", params, labels=names, rows=rows))
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert title == "# Full fine-tuning of sentence-transformers/all-MiniLM-L6-v2: 50 classes"
    assert "| topic 49 | 49 (4.0 %) |" in text and max(map(len, text.splitlines())) < 400


def test_awp_is_told_as_it_moved_the_weights(params, with_params):
    assert "| AWP | epsilon 0.01, from 0.5 to 1 of each epoch |" in model_card(facts("lora", params))
    other = with_params(awp={"target": "all", "embeddings": "exclude", "box": 0.02, "step": 0.001})
    told = "step 0.001, each element within 0.02 of its size, frozen weights too, embeddings not, from 0.5 to 1 of each epoch"
    assert f"| AWP | {told} |" in model_card(facts("lora", other))


def test_what_is_switched_off_is_not_claimed(with_params):
    text = model_card(facts("full", with_params(awp={"enabled": False}, mixout={"enabled": False})))
    assert "| AWP | no |" in text and "| mixout | no |" in text


def test_own_data_and_an_own_model_have_no_terms_and_no_path_but_its_last_part(params):
    content = params.model_dump()
    content["model"] |= {"source": "local", "local": {"path": "myfolder/my-bert"}}
    content["data"]["source"] = "csv"
    content["data"]["csv"]["path"] = "myfolder/texts.csv"
    text = model_card(facts("lora", Params.model_validate(content), base=BaseFacts()))
    front, sections = parse_card(text)
    assert (front["base_model"], front["license"]) == ("my-bert", "unknown") and "language" not in front
    assert sections["Licence"].count("not known here") == 2
    assert "texts.csv" in sections["Data"] and "myfolder" not in text and "VADER" not in text


def test_sources_of_the_hub_are_named(params):
    content = params.model_dump()
    content["model"]["source"] = content["data"]["source"] = "hub"
    content["data"]["hub"]["revision"] = "a" * 40
    front, sections = parse_card(model_card(facts("lora", Params.model_validate(content))))
    assert front["base_model"] == "distilbert/distilbert-base-uncased"
    assert f"The data set fancyzhx/amazon\\_polarity of the Hugging Face Hub, revision {'a' * 40}." in sections["Data"]


def test_class_names_and_file_names_can_break_nothing(params):
    content = params.model_dump()
    content["model"] |= {"source": "local", "local": {"path": "my: bert\n---\n# {x}"}}
    content["data"]["source"] = "csv"
    content["data"]["csv"]["path"] = "- a: [b\n---\n## Licence\n.csv"
    names = ["a|b\n## Licence\n", "---\nlicense: mit"]
    text = model_card(facts("full", Params.model_validate(content), labels=names))
    front, sections = parse_card(text)
    assert front["license"] == "apache-2.0" and "base_model" not in front  # the Hub would refuse such a name
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == content["data"]["csv"]["path"]
    assert list(sections) == ["", "Data", "Training", "Scores", "How to load it", "What it is not for", "Licence"]
    assert "a\\|b \\#\\# Licence" in sections["Data"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, BaseFacts()),
        ("no front matter", BaseFacts()),
        ("---\nlicense: [\n---\n", BaseFacts()),
        ("---\n- license\n---\n", BaseFacts()),
        ("---\nlicense: apache-2.0\nlanguage: en\n---\n# x\n", BaseFacts("apache-2.0")),
        ("---\r\nlicense: mit\r\nlanguage:\r\n- de\r\n- en\r\n---\r\n", BaseFacts("mit")),
        ("---\nlicense: a `b`\nlanguage: [1]\n---\n", BaseFacts()),
        ("---\nlicense: other\nlicense_name: mine\n---\n", BaseFacts("other", (("license_name", "mine"),))),
    ],
)
def test_the_licence_comes_from_the_base_models_card(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "README.md").write_text(content, newline="")
    assert read_base_facts(tmp_path) == expected


@pytest.mark.parametrize(
    ("method", "train", "expected"),
    [
        ("full", {}, "float32"),
        ("full", {"precision": "bf16", "frozen_dtype": "bf16"}, "bfloat16 by autocast, trained weights in float32"),
        (
            "lora",
            {"frozen_dtype": "nf4"},
            "float32; frozen weights in nf4 (4 bits, double quantization) where they are linear layers', merged here with their "
            "rounded values",
        ),
        ("lora", {"frozen_dtype": "bf16"}, "float32; frozen weights in bfloat16, merged here with their rounded values"),
        (
            "adapter",
            {"precision": "fp16", "frozen_dtype": "fp16"},
            "float16 by autocast, trained weights in float32; frozen weights in float16, base/ holds them as they were before",
        ),
    ],
)
def test_the_precision_of_the_training_is_said(with_params, method, train, expected):
    assert f"| precision | {expected} |" in model_card(facts(method, with_params(train=train)))


def test_the_precision_of_the_test_scores_is_said_where_it_is_not_fp32(params, with_params):
    assert "autocast" not in model_card(facts("lora", params, test=TEST))
    text = model_card(facts("lora", with_params(evaluate={"precision": "bf16"}), test=TEST))
    assert "It predicted the test set in bf16 (autocast)." in text
