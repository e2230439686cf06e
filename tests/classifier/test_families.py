"""Every supported family's folder: an encoder without head, weights of something else, and how long a text may be."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, BertTokenizerFast

from stages.benchmark.lengths import longest_input
from stages.classifier.counting import head_modules
from stages.classifier.families import family_of
from stages.classifier.loading import load_base_model
from stages.prepare.tokenizing import check_model
from stages.project.errors import UserError
from tests.methods.tiny_models import POSITIONS, TINY, VOCABULARY, shake, tiny_classifier, tiny_config

LABELS = ["negative", "positive"]
every_family = pytest.mark.parametrize("name", TINY)
WITHOUT_POOLER = ("roberta", "xlm-roberta", "mpnet")  # whose classifier has none, though the encoder alone is saved with one


@pytest.fixture
def tokenizer(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    return BertTokenizerFast(str(tmp_path / "vocab.txt"))


@every_family
def test_an_encoder_saved_without_head_is_loaded_and_one_that_lacks_a_tensor_is_refused(name, tmp_path):
    torch.manual_seed(5)
    encoder = AutoModel.from_config(tiny_config(name))
    encoder.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    model = load_base_model(LABELS, 0, tmp_path)
    loaded = dict(model.base_model.named_parameters())
    assert all(torch.equal(parameter, saved[place]) for place, parameter in loaded.items())
    unused = {"pooler.dense.weight", "pooler.dense.bias"} if name in WITHOUT_POOLER else set()
    assert unused <= set(saved) and set(loaded) == set(saved) - unused
    again = load_base_model(LABELS, 0, tmp_path)
    for one, other in zip(head_modules(model).values(), head_modules(again).values(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))

    lost = next(place for place in sorted(loaded) if TINY[name].feed_forward[1] in place and "attention" not in place)
    kept = {place: tensor for place, tensor in saved.items() if place != lost}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=rf"1 of its tensors are missing, such as {model.base_model_prefix}\.{lost}"):
        load_base_model(LABELS, 0, tmp_path)
    renamed = {f"other.{place}": tensor for place, tensor in saved.items()}
    save_file(renamed, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=f"not the weights of a {model.config.model_type} model"):
        load_base_model(LABELS, 0, tmp_path)


def test_modernberts_head_is_taken_from_a_masked_language_model_that_has_it(tmp_path):
    model = AutoModelForMaskedLM.from_config(tiny_config("modernbert"))
    shake(model)
    model.save_pretrained(tmp_path)
    loaded = load_base_model(LABELS, 0, tmp_path)
    for part in ("model", "head"):
        pairs = zip(model.get_submodule(part).parameters(), loaded.get_submodule(part).parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


@every_family
def test_the_longest_input_is_what_the_model_can_read(name, tmp_path, tokenizer):
    model = tiny_classifier(name).eval()
    longest = family_of(model.config.model_type).longest_input(model.config)
    reserved = {"roberta": 2, "xlm-roberta": 2, "mpnet": 2}.get(name, 0)
    assert longest == (1_000_000 if name.startswith("deberta") else POSITIONS - reserved)
    ids = torch.full((1, min(longest, 200)), 7)  # no padding: all positions are used
    assert model(input_ids=ids).logits.isfinite().all()
    if name.startswith("deberta"):
        return
    model.config.save_pretrained(tmp_path)
    assert longest_input(AutoConfig.from_pretrained(tmp_path), tokenizer) == longest
    assert len(tokenizer) <= VOCABULARY
    check_model(longest, tokenizer, tmp_path)
    with pytest.raises(UserError, match=f"data.max_length: {longest + 1}, but .* reads at most {longest} tokens"):
        check_model(longest + 1, tokenizer, tmp_path)
    if name != "modernbert":  # its angles go on beyond what it was trained for
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, longest + 1), 7))


def test_deberta_with_a_table_of_positions_takes_no_more_than_its_rows():
    config = tiny_config("deberta-v3")
    config.position_biased_input = True
    assert family_of("deberta-v2").longest_input(config) == POSITIONS


@pytest.mark.parametrize(
    "content", ['{"model_type": "bert", "vocab_size": "many"}', '{"model_type": "roberta", "pad_token_id": null}', "{}"]
)
def test_a_configuration_with_a_wrong_value_is_refused_in_one_line(content, tmp_path, tokenizer):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json") as error:
        check_model(16, tokenizer, tmp_path)
    assert "\n" not in str(error.value)
