"""Linear layers in nf4: what they hold, what they compute in every family, and what memory they take."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from stages.classifier.counting import count_parameters
from stages.classifier.families import head_names
from stages.classifier.faster.apply import accelerate, accelerate_training
from stages.classifier.four_bit import (
    check_four_bit,
    packed_bytes,
    packed_layers,
    quantize,
    round_to_four_bit,
    storage,
)
from stages.classifier.four_bit_shapes import Shapes, fake_copy
from stages.classifier.low_precision import LowLinear, autocast, cast_for_inference, cast_frozen
from stages.memory.inputs import RandomInputs
from stages.memory.predict import MIB, MemoryPredictor
from stages.memory.recompute import recompute_activations
from stages.methods.method import attached
from stages.methods.registry import method_of
from stages.training.arithmetic import pass_operations
from tests.classifier.precision import CPU, LABELS, every_family, every_peft, gradients, on_the_cpu  # noqa: F401, a fixture
from tests.four_bit import hide_bitsandbytes, needs_bitsandbytes
from tests.methods.tiny_models import CLASSES, TINY, VOCABULARY, padded_batch, tiny_classifier
from tests.refusals import refused

DORA = {"use_dora": True, "target": "all"}


def levels() -> np.ndarray:
    """The 16 levels of NormalFloat: 8 quantiles of a normal distribution above 0 and 7 below, 0 itself, scaled to [-1, 1].

    Dettmers et al. (2023), section 3 and appendix E, with the outermost at the mean of 1 - 1/32 and 1 - 1/30.
    """
    outermost = 1 - (1 / 32 + 1 / 30) / 2
    above = norm.ppf(np.linspace(outermost, 0.5, 9)[:-1])
    below = -norm.ppf(np.linspace(outermost, 0.5, 8)[:-1])
    return np.sort(np.concatenate([below, [0.0], above])) / above.max()


def layer(weight: torch.Tensor):
    from stages.classifier.four_bit_layer import Linear4bit

    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight = nn.Parameter(weight)
    return Linear4bit.of(linear)


@needs_bitsandbytes
def test_a_block_of_64_weights_takes_the_nearest_of_16_levels_times_its_largest_size():
    generator = torch.Generator().manual_seed(0)
    weight = 0.05 * torch.randn(1, 64, generator=generator)
    scale, q = weight.abs().max().item(), levels()
    nearest = np.abs(weight.numpy()[..., None] / scale - q).argmin(axis=-1)
    found = layer(weight).dequantize()
    np.testing.assert_allclose(found.numpy(), scale * q[nearest], atol=1e-6 * scale)
    error = (found - weight).abs().max().item()
    assert 0 < error <= scale * np.diff(q).max() / 2 + 1e-7  # half of the widest gap


@needs_bitsandbytes
def test_the_scales_of_blocks_are_kept_in_8_bits():
    """Double quantization: each scale is wrong by at most a hundredth of the largest distance of one from their mean."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(512, 64, generator=generator) * torch.linspace(0.5, 2, 512)[:, None]
    scales = weight.abs().amax(dim=1)
    found = layer(weight).dequantize().abs().amax(dim=1)  # the largest level is 1
    distance = (scales - scales.mean()).abs().max()
    assert 0 < (found - scales).abs().max() < distance / 100


@needs_bitsandbytes
@pytest.mark.parametrize("shape", [(384, 1536), (16, 24), (3, 5), (1000, 64)])
def test_bytes_are_those_of_the_tensors_that_it_keeps(shape):
    packed = layer(torch.randn(shape))
    state = packed.weight.quant_state
    own = (packed.weight, state.absmax, state.state2.absmax, state.offset)  # the tables of levels are the same for all layers
    expected = packed_bytes(shape[1], shape[0])
    assert sum(tensor.nbytes for tensor in own) == expected
    stand_in = Shapes.of(packed, None)
    assert sum(tensor.nbytes for tensor in (stand_in.weight, *stand_in.buffers())) == expected
    assert shape != (384, 1536) or 8 * expected / packed.numel == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=1e-4)


def tiny(name: str, frozen: str, method: str, params) -> nn.Module:
    """The tiny classifier of a family: in nf4, rounded to its values, or as it is."""
    base = tiny_classifier(name).float()
    if frozen == "rounded":
        round_to_four_bit(base)
    model = attached(method_of(method), base, params, "nf4" if frozen == "nf4" else "same")
    torch.manual_seed(3)
    for place, weight in model.named_parameters():
        if weight.requires_grad:
            nn.init.normal_(weight, std=0.2)
        assert weight.requires_grad or "lora_" not in place
    return model.eval()


@needs_bitsandbytes
@every_family
@every_peft
@pytest.mark.parametrize("acceleration", [True, False])
def test_logits_and_gradients_are_those_of_a_float32_encoder_with_the_unpacked_weights(params, name, method, acceleration):
    kept, rounded, exact = (tiny(name, frozen, method, params) for frozen in ("nf4", "rounded", "same"))
    if acceleration:
        for model in (kept, rounded, exact):
            accelerate(model)
    (logits, found), (expected_logits, expected), (unrounded, _) = map(gradients, (kept, rounded, exact))
    torch.testing.assert_close(logits, expected_logits, rtol=1e-5, atol=1e-6)
    assert found.keys() == expected.keys() and len(found) > 2
    for place in found:
        torch.testing.assert_close(found[place], expected[place], rtol=1e-4, atol=1e-6, msg=place)
        assert found[place].dtype == torch.float32
    assert (logits - unrounded).abs().max() > 1e-4  # and something was rounded


@needs_bitsandbytes
@every_peft
def test_under_autocast_they_are_those_of_weights_rounded_once_more(params, method):
    found, expected = (gradients(tiny("bert", frozen, method, params), "bf16") for frozen in ("nf4", "rounded"))
    for one, other in [(found[0], expected[0]), *((found[1][place], expected[1][place]) for place in expected[1])]:
        assert (one - other).norm() <= 8 * 2.0**-8 * other.norm()


@needs_bitsandbytes
def test_dora_starts_at_the_norms_of_the_unpacked_weights(with_params):
    models = [attached(method_of("lora"), base, with_params(peft=DORA), frozen) for base, frozen in started()]
    one, other = ({place: weight for place, weight in model.named_parameters() if "magnitude" in place} for model in models)
    assert len(one) == len(other) > 6
    for place, weight in one.items():
        torch.testing.assert_close(weight, other[place])
    (logits, found), (expected_logits, expected) = map(gradients, models)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-5, atol=1e-6)
    for place in found:
        torch.testing.assert_close(found[place], expected[place], rtol=1e-4, atol=1e-6, msg=place)


def started():
    """A classifier that is to be packed, and one with the same head whose weights were rounded."""
    for frozen in ("nf4", "same"):
        base = tiny_classifier("bert")
        if frozen == "same":
            round_to_four_bit(base)
        torch.manual_seed(0)
        yield base.eval(), frozen


@needs_bitsandbytes
@every_family
@every_peft
def test_linear_layers_of_the_encoder_are_packed_and_all_else_is_float32(params, name, method):
    base = tiny_classifier(name)
    head = head_names(base)
    linear = {place for place, module in base.named_modules() if type(module) is nn.Linear}
    encoder = {place for place in linear if not any(f"{place}.".startswith(f"{part}.") for part in head)}
    plain = count_parameters(attached(method_of(method), copy.deepcopy(base), params, "same"))
    model = attached(method_of(method), base, params, "nf4")
    assert {place.removeprefix("base_model.model.").replace(".base_layer", "") for place, _ in packed_layers(model)} == encoder
    packed = {id(module.weight) for _, module in packed_layers(model)}
    assert {weight.dtype for weight in model.parameters() if id(weight) not in packed} == {torch.float32}
    assert count_parameters(model) == plain  # of weights, not of bytes
    if method == "lora":
        kinds = {f"{type(module).__module__}.{type(module).__name__}" for module in model.modules() if hasattr(module, "lora_A")}
        assert kinds == {"peft.tuners.lora.bnb.Linear4bit"}


@needs_bitsandbytes
def test_the_same_weights_give_the_same_bytes_and_predicting_changes_none(params):
    model, again = (tiny("bert", "nf4", "lora", params) for _ in range(2))
    before = {place: weight.clone() for place, weight in model.state_dict().items()}
    batch = padded_batch(model)
    with torch.inference_mode():
        expected = model(**batch).logits
        with autocast("bf16", CPU):
            model(**batch)
        assert torch.equal(model(**batch).logits, expected)
    gradients(model.train(), "bf16")
    for place, weight in before.items():
        assert torch.equal(weight, model.state_dict()[place]) and torch.equal(weight, again.state_dict()[place]), place
        assert "bias" not in place or weight.dtype == torch.float32
    assert cast_frozen(model, torch.float32) == 0 and cast_for_inference(model.eval(), "bf16") > 0
    assert not any(isinstance(module, LowLinear) and module.weight.dtype == torch.uint8 for module in model.modules())


@needs_bitsandbytes
@pytest.mark.parametrize("name", [name for name in TINY if name not in ("albert", "mpnet")])
@every_peft
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradient_checkpointing_and_dropout_work_beside_them(params, name, method, precision):
    model = tiny(name, "nf4", method, params)
    accelerate_training(model.train())
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(gradients(model, precision))
        recompute_activations(model)
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=0)
    for place, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][place], rtol=1e-6, atol=1e-8, msg=place)


@needs_bitsandbytes
@pytest.mark.parametrize(
    ("method", "peft"), [("lora", {}), ("lora", DORA), ("adapter", {}), ("adapter", {"adapter": "parallel"})]
)
def test_memory_is_predicted_and_arithmetic_counted_with_layers_that_have_no_contents(with_params, method, peft):
    """Packed, the weights are smaller by what the layout saves; the products of a pass are the same."""
    params = with_params(peft=peft)
    inputs = RandomInputs(VOCABULARY, CLASSES, 0, CPU)
    predicted, counted, models = [], [], []
    for frozen in ("nf4", "same"):
        models.append(attached(method_of(method), tiny_classifier("bert"), params, frozen))
        shake_trained(models[-1])
        with MemoryPredictor(models[-1], inputs, 16) as predictor:
            predicted.append(predictor.predict(4, accumulate=True))
        counted.append(pass_operations(models[-1], tuple(weight.requires_grad for weight in models[-1].parameters())))
    layers = [module for _, module in packed_layers(models[0])]
    saved = sum(4 * module.numel - packed_bytes(module.in_features, module.out_features) for module in layers)
    assert predicted[1].weights - predicted[0].weights == saved > 0
    assert predicted[0].gradients == predicted[1].gradients and predicted[0].optimizer_state == predicted[1].optimizer_state
    assert counted[0] == counted[1]
    before = models[0].state_dict()
    assert any(place.endswith("quant_state.bitsandbytes__nf4") for place in before)  # the model itself is as it was


def shake_trained(model: nn.Module) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))


@needs_bitsandbytes
def test_what_the_layers_take_is_said():
    base = tiny_classifier("bert")
    linear = [module for place, module in base.named_modules() if type(module) is nn.Linear and place != "classifier"]
    unpacked = sum(module.weight.nbytes for module in linear)
    packed = sum(packed_bytes(module.in_features, module.out_features) for module in linear)
    base.requires_grad_(False)
    everything = sum(weight.nbytes for weight in base.parameters())
    assert quantize(base) == len(linear)
    mib = [f"{number / MIB:,.1f}" for number in (packed, unpacked, everything - unpacked + packed, everything)]
    assert storage(base) == (
        f"{len(linear)} linear layers in nf4 take {mib[0]} MiB instead of {mib[1]}, "
        f"all frozen weights {mib[2]} MiB instead of {mib[3]}"
    )


def test_without_the_package_one_message_says_how_to_get_it(monkeypatch):
    hide_bitsandbytes(monkeypatch)
    for refuse in (lambda: check_four_bit("nf4"), lambda: quantize(tiny_classifier("bert"))):
        message = refused(refuse)
        assert message.startswith("train.frozen_dtype: received nf4") and "bitsandbytes, which is not installed" in message
        assert "pip install -r requirements-qlora.txt" in message and "bf16 or same" in message
    assert refused(check_four_bit, "nf4", "models/lora: trained with").startswith("models/lora: trained with nf4, whose")
    check_four_bit("bf16")


def test_a_model_without_such_layers_is_copied_as_ever():
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    model = tiny_classifier("bert")
    copied = fake_copy(model, FakeTensorMode())
    assert [place for place, _ in copied.named_parameters()] == [place for place, _ in model.named_parameters()]
    assert all(isinstance(weight, FakeTensor) for weight in copied.parameters())
