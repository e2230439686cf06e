"""Every supported family in training: what is faster computes the same, and so does what keeps less."""

import copy

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from peft_extras.awp import AdversarialWeightPerturbation
from stages.classifier.families import family_of
from stages.classifier.faster.apply import accelerate, accelerate_training
from stages.classifier.faster.attention import NAME, SHORT
from stages.classifier.faster.dropout import CpuDropout
from stages.memory.inputs import RandomInputs
from stages.memory.predict import predict_training_memory
from stages.methods.registry import method_of
from stages.project.schema import METHODS
from tests.methods.tiny_models import CLASSES, TINY, VOCABULARY, of_class, padded_batch, shake, tiny_classifier, tiny_config

every_family = pytest.mark.parametrize("name", TINY)
every_method = pytest.mark.parametrize("method", METHODS)
OWN_ATTENTION = ("deberta-v3", "deberta-v2-unshared", "mpnet")  # classes that ask the library for no implementation
WITHOUT_CHECKPOINTING = ("albert", "mpnet")
LABELS = torch.tensor([0, 1, 1, 0])


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr("stages.classifier.faster.apply.pick_device", lambda: torch.device("cpu"))


@pytest.fixture
def without_dropout(with_params):
    return with_params(peft={"rank": 3, "bottleneck": 5, "dropout": 0.0})


def loss_of(model: nn.Module) -> torch.Tensor:
    return nn.functional.cross_entropy(model(**padded_batch(model)).logits, LABELS)


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of all trainable parameters that the loss reaches, by name."""
    model.zero_grad()
    loss_of(model).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


@every_family
@pytest.mark.parametrize("length", [9, SHORT + 4])
def test_accelerated_logits_and_gradients_are_those_of_eager_attention(name, length):
    fast = tiny_classifier(name).eval()
    eager = AutoModelForSequenceClassification.from_config(tiny_config(name), attn_implementation="eager").eval()
    eager.load_state_dict(fast.state_dict())
    accelerate(fast)
    assert fast.config._attn_implementation == ("eager" if name in OWN_ATTENTION else NAME)
    batch = padded_batch(fast, length)
    logits = [model(**batch).logits for model in (fast, eager)]
    assert (logits[0] - logits[1]).abs().max() < 1e-5
    for output in logits:
        nn.functional.cross_entropy(output, LABELS).backward()
    for (place, a), b in zip(fast.named_parameters(), eager.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), place
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)


@every_family
def test_the_last_layer_computes_one_token_where_the_table_says_so(name):
    model = tiny_classifier(name).eval()
    accelerate(model)
    tiny = TINY[name]
    shapes = []
    last = list(of_class(model, tiny.layer).values())[-1].get_submodule(tiny.feed_forward[1])
    last.register_forward_hook(lambda module, args, output: shapes.append(output.shape[1]))
    model(**padded_batch(model))
    assert shapes[-1] == (9 if family_of(model.config.model_type).last_block is None else 1)


@every_family
@every_method
def test_all_dropout_is_the_fast_one_and_a_function_of_the_seed(name, method, with_params, monkeypatch):
    torch.manual_seed(0)
    base = AutoModelForSequenceClassification.from_config(tiny_config(name, dropout=0.5))
    accelerate(base)
    model = method_of(method).attach(base, with_params(peft={"dropout": 0.5}))
    shake(model)
    accelerate_training(model.train())
    kinds = {type(module) for module in model.modules() if isinstance(module, nn.Dropout)}
    assert kinds == {CpuDropout}

    def library_dropout(*args, **kwargs):
        raise AssertionError("the library's own dropout was called")

    monkeypatch.setattr(nn.functional, "dropout", library_dropout)
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(gradients(model))
    assert all(torch.equal(one, other) for one, other in zip(seen[0].values(), seen[1].values(), strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(seen[0].values(), seen[2].values(), strict=True))
    assert all(gradient.isfinite().all() for gradient in seen[0].values())


def perturbed_gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    awp = AdversarialWeightPerturbation(model, 0.01)
    with awp.perturbed(lambda: loss_of(model)):
        found = gradients(model)
    assert awp.log.ratio_mean == pytest.approx(0.01, rel=1e-3)
    return found


@pytest.mark.parametrize("name", [name for name in TINY if name not in WITHOUT_CHECKPOINTING])
@every_method
def test_gradient_checkpointing_changes_no_gradient(name, method, without_dropout):
    """Neither the plain one nor that at the point to which AWP moves the weights."""
    base = tiny_classifier(name)
    accelerate(base)
    model = method_of(method).attach(base, without_dropout).train()
    shake(model)
    assert family_of(model.config.model_type).gradient_checkpointing
    calls = []
    first = next(iter(of_class(model, TINY[name].layer).values())).get_submodule(TINY[name].feed_forward[0])
    first.register_forward_hook(lambda *arguments: calls.append(1))
    kept = [gradients(model), perturbed_gradients(model)]
    assert len(calls) == 3
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    computed_again = [gradients(model), perturbed_gradients(model)]
    assert len(calls) == 3 + 6  # each layer ran twice in each of the three passes
    for one, other in zip(kept, computed_again, strict=True):
        assert one.keys() == other.keys() and len(one) > 4
        for place, gradient in one.items():
            torch.testing.assert_close(other[place], gradient, atol=1e-7, rtol=1e-5, msg=place)


@pytest.mark.parametrize("name", WITHOUT_CHECKPOINTING)
def test_the_table_says_where_the_library_has_no_gradient_checkpointing(name):
    model = tiny_classifier(name)
    assert not family_of(model.config.model_type).gradient_checkpointing
    with pytest.raises(ValueError, match="does not support"):
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), [("albert", "adapter"), ("modernbert", "full"), ("deberta-v3", "full")])
def test_training_memory_can_be_predicted(name, method, without_dropout):
    """Of those whose layers run several times or whose masks and positions are not BERT's."""
    base = tiny_classifier(name)
    accelerate(base)
    model = method_of(method).attach(base, without_dropout)
    before = copy.deepcopy(model.state_dict())
    inputs = RandomInputs(VOCABULARY, CLASSES, seed=0, device=torch.device("cpu"))
    small, large = predict_training_memory(model, inputs, [2, 8], length=9, accumulate=True).values()
    trained = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    assert small.activations < large.activations
    assert small.weights >= sum(parameter.nbytes for parameter in model.parameters())
    assert trained <= small.gradients and 2 * trained <= small.optimizer_state
    assert all(torch.equal(tensor, before[place]) for place, tensor in model.state_dict().items())
