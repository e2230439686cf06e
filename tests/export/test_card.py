"""The model card: what it says is what it was given, it can be read back, and nothing of the machine stands in it."""

import pytest
import yaml

from stages.classifier.counting import ParameterCounts
from stages.export.terms import BaseFacts, read_base_facts
from stages.export.training_card import model_card
from stages.presentation.markdown import document, front_matter, parse_document, plain, table
from stages.project.schema import Params
from tests.imports import import_closure

COUNTS = ParameterCounts(trainable=148_226, trainable_body=147_456, trainable_head=770, total=22_861_442)
SCORES = {"accuracy": 0.87654321, "precision": 0.75, "recall": 0.7, "f1": 0.725}


def card(method: str, params: Params, labels=("negative", "positive"), base=BaseFacts("apache-2.0", "en")) -> str:
    rows = {"train": [3, 1], "validation": [0, 0]}
    return model_card(method, params, labels, COUNTS, 5, SCORES, rows, base)


@pytest.mark.parametrize(
    ("method", "library", "own", "rate"),
    [
        ("full", "transformers", "every weight of encoder and head is trained", "5e-05"),
        ("lora", "peft", "rank 8, alpha 16, dropout 0,", "0.002"),
        ("adapter", "peft", "bottleneck 64, GELU", "0.004"),
    ],
)
def test_front_matter_and_content(params, method, library, own, rate):
    text = card(method, params)
    front, _, sections = parse_document(text)
    assert front == front_matter(text) == yaml.safe_load(text.split("---\n")[1])
    assert (front["library_name"], front["pipeline_tag"]) == (library, "text-classification")
    assert (front["license"], front["language"]) == ("apache-2.0", "en")
    assert front["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["split"] == "validation"
    assert {row["type"]: row["value"] for row in result["metrics"]} == SCORES | {"accuracy": 0.876543}
    assert "| train | 4 | 3 (75.0 %) | 1 (25.0 %) |" in sections["Data"]
    assert own in sections["Training"] and f"| learning rate | {rate}, warm-up 6 %" in sections["Training"]
    assert "147,456 in the encoder, 770 in the head: 148,226 of 22,861,442 (0.65 %)" in sections["Training"]
    assert "kept: 5" in sections["Training"] and "| seed | 13 |" in sections["Training"]
    assert "| macro F1 | 0.7250 |" in sections["Scores"]
    assert f'"models/{method}"' in sections["How to load it"]
    assert "Unicode form NFC, with single spaces" in sections["How to load it"]
    assert "MIT" in sections["Licence"] and "`apache-2.0`" in sections["Licence"]


def test_what_is_switched_off_is_not_claimed(with_params):
    text = card("full", with_params(awp={"enabled": False}, mixout={"enabled": False}))
    assert "| AWP | no |" in text and "| mixout | no |" in text


def test_own_data_and_an_own_model_have_no_terms_and_no_path_but_its_last_part(params):
    content = params.model_dump()
    content["model"] |= {"source": "local", "local": {"path": "myfolder/my-bert"}}
    content["data"]["source"] = "csv"
    content["data"]["csv"]["path"] = "myfolder/texts.csv"
    text = card("lora", Params.model_validate(content), base=BaseFacts())
    front, _, sections = parse_document(text)
    assert (front["base_model"], front["license"]) == ("my-bert", "unknown") and "language" not in front
    assert sections["Licence"].count("not known here") == 2
    assert "texts.csv" in sections["Data"] and "myfolder" not in text and "VADER" not in text


def test_sources_of_the_hub_are_named(params):
    content = params.model_dump()
    content["model"]["source"] = content["data"]["source"] = "hub"
    content["data"]["hub"]["revision"] = "a" * 40
    text = card("lora", Params.model_validate(content))
    assert front_matter(text)["base_model"] == "distilbert/distilbert-base-uncased"
    assert f"The data set fancyzhx/amazon\\_polarity of the Hugging Face Hub, revision {'a' * 40}." in text


def test_class_names_can_break_nothing(params):
    names = ["a|b\n## Licence\n", "---\nlicense: mit"]
    front, _, sections = parse_document(card("full", params, labels=names))
    assert front["license"] == "apache-2.0"
    assert list(sections) == ["", "Data", "Training", "Scores", "How to load it", "What it is not for", "Licence"]
    assert "a\\|b \\#\\# Licence" in sections["Data"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, BaseFacts()),
        ("no front matter", BaseFacts()),
        ("---\nlicense: [\n---\n", BaseFacts()),
        ("---\n- license\n---\n", BaseFacts()),
        ("---\nlicense: apache-2.0\nlanguage: en\n---\n# x\n", BaseFacts("apache-2.0", "en")),
        ("---\r\nlicense: mit\r\nlanguage:\r\n- de\r\n- en\r\n---\r\n", BaseFacts("mit", ["de", "en"])),
        ("---\nlicense: a `b`\nlanguage: [1]\n---\n", BaseFacts()),
        ("---\nlicense: other\nlicense_name: mine\n---\n", BaseFacts("other", None, (("license_name", "mine"),))),
    ],
)
def test_licence_and_language_come_from_the_base_models_card(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "README.md").write_text(content, newline="")
    assert read_base_facts(tmp_path) == expected


def test_documents_are_read_back():
    sections = {"": "first", "Two words": table(["a", "b"], [["1", plain("x|_y_")]])}
    assert parse_document(document({"k": [1, "é"]}, "T: x", sections)) == ({"k": [1, "é"]}, "T: x", sections)
    for text in ("", "# T\n", "---\nk: 1\n---\nno heading\n"):
        with pytest.raises(ValueError, match="front matter and a heading"):
            parse_document(text)


def test_the_card_needs_no_module_that_a_training_has_not_loaded():
    added = (
        import_closure("stages.export.training_card")
        - import_closure("stages.classifier.counting")
        - import_closure("stages.config")
    )
    assert added == {f"stages/methods/{name}.py" for name in ("card", "markdown", "terms", "usage")}
