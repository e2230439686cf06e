"""The arithmetic of a training against a count by hand, and what is said of it."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForSequenceClassification

from stages.memory.recompute import recompute_activations
from stages.methods.registry import method_of
from stages.training import arithmetic, run
from stages.training.arithmetic import Arithmetic, matrix_rate, pass_operations
from tests.training.tiny import LABELS, prepare, write_params

C, F, LAYERS, K = 16, 24, 2, 2  # width, feed-forward width, layers, classes of the tiny encoder


def flags(model) -> tuple[bool, ...]:
    return tuple(weight.requires_grad for weight in model.parameters())


def test_a_pass_of_all_weights_is_three_times_the_forward_pass(tiny_bert: BertForSequenceClassification):
    """Each product of a layer is done once forward and twice backward: for its input and for its weight.

    The embeddings' output needs a gradient too, as the embeddings are trained.
    """
    a, b, c = pass_operations(tiny_bert, flags(tiny_bert))
    per_token = LAYERS * 2 * (4 * C * C + 2 * C * F)
    head = 2 * (C * C + C * K)  # the pooler and the classifier
    assert (a, b, c) == (3 * head, 3 * per_token, 3 * LAYERS * 2 * 2 * C)
    recompute_activations(tiny_bert)
    assert pass_operations(tiny_bert, flags(tiny_bert)) == (a, b, c)  # what is computed again does not count
    assert tiny_bert.is_activation_checkpointing


def test_frozen_weights_have_no_product_for_their_gradient(tiny_bert):
    tiny_bert.bert.requires_grad_(False)
    a, b, c = pass_operations(tiny_bert, flags(tiny_bert))
    assert b == LAYERS * 2 * (4 * C * C + 2 * C * F) and c == LAYERS * 2 * 2 * C  # forward only
    assert a == 2 * C * C + 2 * C * K + 2 * C * K  # the classifier's weight gets a gradient, the pooler needs none
    assert all(weight.grad is None for weight in tiny_bert.parameters())


def test_lora_costs_the_products_for_the_inputs_and_those_of_the_thin_matrices(params):
    """Wide enough for rank 8 to be thin: the products for the frozen weights' gradients, a third of all, are left out."""
    config = BertConfig(vocab_size=9, hidden_size=256, num_hidden_layers=3, num_attention_heads=2, intermediate_size=1024)
    model = BertForSequenceClassification(config)
    _, full, _ = pass_operations(model, flags(model))
    wrapped = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=8, target_modules=["query", "key", "value"]))
    _, lora, _ = pass_operations(wrapped, flags(wrapped))
    layer, thin = 2 * (4 * 256**2 + 2 * 256 * 1024), 2 * 3 * 2 * 8 * 256
    first = 2 * 3 * 256**2 + thin // 2  # no gradient for the input of the first layer's projections
    assert full == 9 * layer and lora == 6 * layer + 9 * thin - first


def test_a_training_counts_each_pass_and_awp_twice_and_leaves_validation_out(project, params, with_params):
    prepare(project)
    for awp, factor in ((False, 2), (True, 3)):  # in half of each epoch twice as many
        write_params(project, params, awp=awp)
        own = run.load_params()
        found = run.fit(method_of("lora"), own, LABELS, run.load_tokenizer(), run.load_split("train")).arithmetic
        micro_batches = own.train.epochs * 32 // own.train.micro_batch_size
        assert sum(found.passes.values()) == micro_batches * factor / 2
        assert {texts for texts, _, _ in found.passes} == {own.train.micro_batch_size}
        by_hand = 0
        for (texts, tokens, trained), times in found.passes.items():
            a, b, c = pass_operations(found.model, trained)
            by_hand += times * texts * (a + b * tokens + c * tokens**2)
        assert found.operations() == by_hand > 0
        assert not found.model._forward_pre_hooks and found.seconds > 0


def test_nothing_is_said_of_a_short_training_and_one_sentence_of_a_long_one(tiny_bert, batch, monkeypatch):
    watch = Arithmetic(tiny_bert)
    for _ in range(3):
        tiny_bert.train()(**batch)
    with torch.no_grad():
        tiny_bert(**batch)
    tiny_bert.eval()(**batch)
    watch.stop()
    tiny_bert.train()(**batch)
    assert dict(watch.passes) == {(4, 7, flags(tiny_bert)): 3}
    assert watch.sentence() is None
    watch.seconds = 100.0
    monkeypatch.setattr(arithmetic, "matrix_rate", lambda *arguments: 1e9)
    monkeypatch.setattr(watch, "operations", lambda: 25 * 10**9)
    assert watch.sentence() == (
        "arithmetic: 0.0 TFLOP in matrix products, 2 min of training steps: 0 GFLOP/s, 25 % of the 1 GFLOP/s that such products "
        "alone reach here"
    )
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert str(watch.sentence()).startswith("arithmetic: 0.0 TFLOP in matrix products of one of 2 processes, 2 min")


def test_the_rate_is_positive_and_draws_no_random_number(tiny_bert):
    before = torch.get_rng_state()
    assert matrix_rate(tiny_bert, 64, torch.float32, seconds=0.01) > 0
    assert torch.equal(torch.get_rng_state(), before)
