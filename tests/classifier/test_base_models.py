"""Encoders that people have: with a head already, for another task, in half precision, with misfits; told or refused early."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, pipeline

from stages.classifier.counting import head_modules
from stages.classifier.loading import describe_base_model, load_base_model
from stages.classifier.saving import save_checkpoint
from stages.classifier.splits import load_tokenizer
from stages.export.folders import export
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.prepare.tokenizing import check_model
from stages.project.errors import UserError
from stages.project.schema import METHODS
from tests.imports import ROOT
from tests.methods.tiny_models import TINY, shake, tiny_classifier
from tests.refusals import refused

TINY_BERT = ROOT / "examples/tiny-bert"
LABELS = ["negative", "positive"]
BASE = Path("models/base")


def edit_config(**values) -> None:
    path = BASE / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_weights(change) -> None:
    tensors = load_file(BASE / "model.safetensors")
    save_file(change(tensors), BASE / "model.safetensors", {"format": "pt"})


def head_of(model) -> torch.Tensor:
    """All numbers of the head in one row."""
    return torch.cat([weight.detach().flatten() for part in head_modules(model).values() for weight in part.parameters()])


@pytest.mark.parametrize("name", TINY)
def test_a_head_that_is_there_is_drawn_anew_and_depends_on_the_seed(name, tmp_path):
    trained = tiny_classifier(name)
    shake(trained)
    trained.save_pretrained(tmp_path / "head")
    body = {key: weight for key, weight in trained.state_dict().items() if key.startswith(f"{trained.base_model_prefix}.")}
    trained.save_pretrained(tmp_path / "body", state_dict=body)
    drawn = {(place, seed): load_base_model(LABELS, seed, tmp_path / place) for place in ("head", "body") for seed in (1, 2)}
    # the same numbers as for an encoder without a head
    assert torch.equal(head_of(drawn["head", 1]), head_of(drawn["body", 1]))
    assert not torch.equal(head_of(drawn["head", 1]), head_of(drawn["head", 2]))
    for key, weight in drawn["head", 1].base_model.state_dict().items():
        assert torch.equal(weight, trained.base_model.state_dict()[key]), key
    assert drawn["head", 1].name_or_path == str(tmp_path / "head")
    (note,) = describe_base_model(LABELS, 1, tmp_path / "head")
    assert note.startswith("the head in the weights (classifier.") and "is left out" in note
    assert describe_base_model(LABELS, 1, tmp_path / "body") == []


def test_a_head_in_one_of_several_shards_is_left_out_too(project, tiny_bert):
    before = load_base_model(LABELS, 3)
    (BASE / "model.safetensors").unlink()
    tiny_bert.save_pretrained(BASE, max_shard_size="8KB")
    assert len(list(BASE.glob("*.safetensors"))) > 1
    model = load_base_model(LABELS, 3)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), before.parameters(), strict=True))


@pytest.mark.parametrize("classes", [1, 3])
def test_a_head_for_another_number_of_classes_is_refused_by_tensor_and_shapes(project, classes, tiny_bert):
    tiny_bert.config.num_labels = classes
    AutoModelForSequenceClassification.from_config(tiny_bert.config).save_pretrained(BASE)
    message = refused(describe_base_model, LABELS, 0)
    assert message.startswith(
        f"models/base: classifier.weight is ({classes}, 16), expected (2, 16) for the 2 classes of the data"
    )
    assert "save that alone" in message


def test_a_tagger_of_as_many_classes_gives_its_encoder(project, tiny_bert):
    AutoModelForTokenClassification.from_config(tiny_bert.config).save_pretrained(BASE)
    notes = describe_base_model(LABELS, 0)
    assert any("classifier.weight" in note and "left out" in note for note in notes)


@pytest.mark.parametrize("before", ["regression", "multi_label_classification"])
@pytest.mark.parametrize("method", METHODS)
def test_the_task_that_a_base_had_is_not_that_of_what_is_saved_and_exported(project, params, method, before, tmp_path):
    for path in TINY_BERT.iterdir():
        (BASE / path.name).write_bytes(path.read_bytes())
    edit_config(problem_type=before, id2label={"0": "old"}, label2id={"old": 0}, dtype="float16")
    save_checkpoint(build(method_of(method), params, LABELS), load_tokenizer(), Path("models") / method, 32)
    saved = json.loads(Path("models", method, "config.json").read_text())
    assert saved["problem_type"] == "single_label_classification"
    assert saved["id2label"] == {"0": "negative", "1": "positive"} and saved["dtype"] == "float32"
    if method == "adapter":  # needs PEFT's class; its configuration is the one above
        return
    export(Path("models") / method, tmp_path / "exported", "a card")
    if method == "full":
        classify = pipeline("text-classification", model=str(tmp_path / "exported"), top_k=None)
        assert sum(entry["score"] for entry in classify("the kettle works")[0]) == pytest.approx(1)
    assert json.loads((tmp_path / "exported/config.json").read_text())["problem_type"] == "single_label_classification"


def test_a_base_without_a_task_is_saved_without_one(project):
    """None means the same, and what is saved stays the same."""
    assert load_base_model(LABELS, 0).config.problem_type is None


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_trained_in_single_precision_and_that_is_said(project, kind):
    edit_weights(lambda tensors: {name: tensor.to(kind) for name, tensor in tensors.items()})
    edit_config(dtype=str(kind).removeprefix("torch."))
    model = load_base_model(LABELS, 0)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32} and model.config.dtype == torch.float32
    word = str(kind).removeprefix("torch.")
    assert describe_base_model(LABELS, 0) == [f"weights stored as {word} are trained and saved as float32"]


def test_settings_that_would_change_what_a_model_returns_or_how_are_set_back(project):
    edit_config(output_hidden_states=True, return_dict=False, chunk_size_feed_forward=5, gradient_checkpointing=True)
    edit_config(attn_implementation="somebody/their-kernel", num_labels=7, auto_map={"AutoModel": "x.X"})
    model = load_base_model(LABELS, 0)
    out = model(input_ids=torch.tensor([[2, 9, 3]]))
    assert set(out) == {"logits"} and out.logits.shape == (1, 2)
    assert not model.is_gradient_checkpointing and model.config.chunk_size_feed_forward == 0
    assert not hasattr(model.config, "auto_map")
    assert describe_base_model(LABELS, 0) == [
        "the code that auto_map in config.json names is not run; transformers' own BertForSequenceClassification is used"
    ]


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"is_decoder": True}, "has is_decoder True: each token sees only those before it"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "has quantization_config: its weights are not numbers"),
        ({"transformers_weights": "other.safetensors"}, "has transformers_weights 'other.safetensors'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'; transformers computes only"),
        ({"pruned_heads": {"0": [1]}}, "has pruned_heads: transformers has no longer code"),
        ({"vocab_size": 60}, "bert.embeddings.word_embeddings.weight is (50, 16), expected (60, 16)"),
        ({"num_hidden_layers": 3}, "16 of its tensors are missing, such as bert.encoder.layer.2."),
    ],
)
def test_what_cannot_be_the_model_in_the_weights_is_refused(project, values, part):
    edit_config(**values)
    message = refused(describe_base_model, LABELS, 0)
    assert message.startswith("models/base") and part in message


def test_layers_in_the_weights_that_are_not_used_are_named(project):
    edit_config(num_hidden_layers=1)
    (note,) = describe_base_model(LABELS, 0)
    assert note.startswith("16 tensor(s) of the weights are not used, as config.json has no place for them: encoder.layer.1.")


def test_numbers_that_are_not_finite_are_refused(project):
    edit_weights(lambda tensors: tensors | {"pooler.dense.bias": torch.full_like(tensors["pooler.dense.bias"], torch.nan)})
    assert "1 tensor(s) hold infinite or undefined numbers: bert.pooler.dense.bias" in refused(describe_base_model, LABELS, 0)


def test_a_token_id_beyond_the_embeddings_is_refused(tmp_path):
    for path in TINY_BERT.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    word, last = max(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    tokenizer["model"]["vocab"][word] = last + 1  # as many words as before
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    pattern = rf"its tokenizer gives '{word}' the id {last + 1}, but the ids of the model's embeddings end at {last} \(vocab_size"
    with pytest.raises(UserError, match=pattern):
        check_model(16, load_tokenizer(tmp_path), tmp_path)


@pytest.mark.parametrize(("limit", "fits"), [(10, False), (int(1e30), True)])
def test_a_limit_of_the_tokenizer_is_named_as_such(tmp_path, limit, fits):
    for path in TINY_BERT.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(content | {"model_max_length": limit}))
    if fits:
        check_model(128, load_tokenizer(tmp_path), tmp_path)
        return
    with pytest.raises(UserError, match=r"reads at most 10 tokens, says model_max_length in its tokenizer_config\.json"):
        check_model(16, load_tokenizer(tmp_path), tmp_path)


def test_attention_maps_that_a_configuration_asks_for_are_not_returned(project):
    edit_config(output_attentions=True)
    assert set(load_base_model(LABELS, 0)(input_ids=torch.tensor([[2, 9, 3]]))) == {"logits"}
