"""Training in bfloat16 and float16: what is rounded and what is not, and what an overflow of the scaled loss does."""

import pytest
import torch
from torch import nn
from transformers import TrainerCallback

from peft_extras.mixout import MixoutLinear, apply_mixout
from stages.classifier.counting import head_modules
from stages.classifier.splits import load_labels, load_split, load_tokenizer
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.schema import METHODS, Params
from stages.training import run
from stages.training.early_stopping import EarlyStopping
from stages.training.history import History
from stages.training.resumption import Resumption
from stages.training.run import make_trainer
from stages.training.save_point import SavePoint
from stages.training.trainer import ClassificationLoss, FineTuningTrainer
from tests.refusals import refused
from tests.training.tiny import SMALL, results, write_params

UNIT = 2.0**-8  # half of bfloat16's spacing: the largest relative error of rounding one number
BOUND = 8 * UNIT  # of a gradient as a vector: a handful of such roundings in a row, forward and backward
every_method = pytest.mark.parametrize("method", METHODS)


class Gradients(TrainerCallback):
    """Keeps the gradient that the first optimizer step gets, and then ends the training."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = True


def trainer_of(method: str, params: Params) -> FineTuningTrainer:
    model = build(method_of(method), params, load_labels())
    if params.mixout.enabled:
        apply_mixout(model, head_modules(model), params.mixout.p)
    return make_trainer(params, model, load_tokenizer(), 1e-3, load_split("train"), "scratch")


def first_gradient(method: str, params: Params) -> dict[str, torch.Tensor]:
    trainer, kept = trainer_of(method, params), Gradients()
    trainer.add_callback(kept)
    trainer.train()
    return kept.found


@every_method
@pytest.mark.parametrize("awp", [False, True], ids=["plain", "awp"])
@pytest.mark.parametrize("frozen", ["same", "bf16"])
def test_gradients_in_bf16_are_those_of_fp32_within_its_rounding(prepared, with_params, method, awp, frozen):
    """||g_bf16 - g_fp32|| <= 8 * 2^-8 ||g_fp32||, mixout included; the same in every number would mean that nothing was cast."""
    found = {}
    for precision in ("fp32", "bf16"):
        train = SMALL | {"precision": precision, "frozen_dtype": frozen, "max_grad_norm": 1e9}
        params = with_params(train=train, awp={"enabled": awp, "window_start": 0.0})
        found[precision] = first_gradient(method, params)
    assert found["fp32"].keys() == found["bf16"].keys()
    assert all(gradient.dtype == torch.float32 for gradient in found["bf16"].values())
    exact, rounded = (torch.cat([gradient.flatten() for gradient in gradients.values()]) for gradients in found.values())
    error = (rounded - exact).norm() / exact.norm()
    assert UNIT / 100 < error < BOUND


@every_method
def test_trained_weights_optimizer_and_loss_are_float32_whatever_is_frozen(prepared, with_params, method):
    params = with_params(train=SMALL | {"epochs": 1, "precision": "bf16", "frozen_dtype": "bf16"})
    trainer = trainer_of(method, params)
    seen = []
    loss = trainer.compute_loss_func
    trainer.compute_loss_func = lambda outputs, *rest, **named: (
        seen.append(outputs["logits"].dtype) or loss(outputs, *rest, **named)
    )
    trainer.train()
    assert {weight.dtype for weight in trainer.model.parameters() if weight.requires_grad} == {torch.float32}
    state = trainer.optimizer.state_dict()["state"]
    assert state and {value.dtype for values in state.values() for value in values.values()} == {torch.float32}
    assert set(seen) == {torch.float32}
    frozen = {weight.dtype for weight in trainer.model.parameters() if not weight.requires_grad and weight.dim() > 1}
    assert frozen == (set() if method == "full" else {torch.bfloat16})


def test_the_loss_of_logits_in_low_precision_is_computed_in_float32():
    logits, labels = torch.randn(6, 3).to(torch.bfloat16), torch.tensor([0, 1, 2, 0, 1, 2])
    loss = ClassificationLoss(torch.tensor([1.0, 2.0, 3.0]))({"logits": logits}, labels, 6)
    expected = nn.functional.cross_entropy(logits.float(), labels, torch.tensor([1.0, 2.0, 3.0]), reduction="sum") / 6
    assert loss.dtype == torch.float32 and torch.equal(loss, expected)


def test_mixout_mixes_in_float32_under_autocast():
    """w~ itself is exact, as drawn without autocast; only the product that follows is rounded."""
    layer = MixoutLinear(nn.Linear(8, 4), p=0.5).train()
    with torch.no_grad():
        layer.weight.add_(torch.randn(4, 8))
    mixed = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            mixed.append(layer.mixed_weight())
            assert layer(torch.randn(2, 8)).dtype == (torch.bfloat16 if enabled else torch.float32)
    assert mixed[1].dtype == torch.float32 and torch.equal(*mixed)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in fp16")
def test_fp16_without_a_gpu_is_refused_in_one_message(prepared, with_params):
    write_params(prepared, with_params(), precision="fp16")
    message = refused(run.train, method_of("lora"))
    assert message.startswith("train.precision: fp16 needs a GPU (CUDA), received fp16") and "use bf16" in message
    assert results(prepared) == {}


def test_full_fine_tuning_says_that_it_freezes_nothing(prepared, with_params, capsys):
    write_params(prepared, with_params(), epochs=1, frozen_dtype="bf16")
    run.train(method_of("full"))
    assert "full: train.frozen_dtype=bf16 has no effect: full fine-tuning freezes nothing" in capsys.readouterr().out


def scaled(trainer: FineTuningTrainer, scale: float = 2.0**16) -> FineTuningTrainer:
    """Let `trainer` compute in fp16 with a gradient scaler, on this CPU: what accelerate sets up on a GPU only."""
    trainer.accelerator.native_amp = True
    trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return trainer


class Overflow(TrainerCallback):
    """Makes gradients of one optimizer step infinite, as a scaled gradient outside float16's range is."""

    def __init__(self, trainer: FineTuningTrainer, step: int, passes: tuple[int, ...]):
        """`passes`: which backward passes through the classifier in that step overflow, counted from 0."""
        self.trainer, self.step, self.passes, self.count = trainer, step, passes, 0
        self.before: dict[str, torch.Tensor] = {}
        self.after: dict[str, torch.Tensor] = {}
        self.scales: list[float] = []
        head = next(module for module in trainer.model.modules() if isinstance(module, MixoutLinear))
        head.register_full_backward_hook(self.multiply)

    def multiply(self, module, into, out):
        if self.trainer.state.global_step == self.step:
            self.count += 1
            if self.count - 1 in self.passes:
                return tuple(gradient * float("inf") if gradient is not None else None for gradient in into)
        return None

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: weight.detach().clone() for name, weight in self.trainer.model.named_parameters()}

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.before = self.weights()

    def on_step_end(self, args, state, control, **kwargs):
        self.scales.append(self.trainer.scaler.get_scale())
        if state.global_step == self.step + 1:
            self.after = self.weights()


def fp16(with_params, **awp) -> Params:
    return with_params(train=SMALL | {"epochs": 1, "precision": "fp16"}, awp={"window_start": 0.0, **awp})


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@every_method
def test_an_overflow_leaves_one_step_out_and_halves_the_scale_once(prepared, with_params, method):
    """With AWP, two micro-batches per step: the passes are clean, perturbed, clean, perturbed; the last one overflows."""
    trainer = scaled(trainer_of(method, fp16(with_params)))
    overflow = Overflow(trainer, step=1, passes=(3,))
    trainer.add_callback(overflow)
    updates = []
    update = trainer.scaler.update
    trainer.scaler.update = lambda: (updates.append(1), update())
    trainer.train()
    assert trainer.overflows == 1 and trainer.awp.log.skipped == 0
    assert len(updates) == trainer.state.global_step == 4
    assert overflow.scales == [2.0**16, 2.0**15, 2.0**15, 2.0**15]
    assert same(overflow.before, overflow.after)  # AWP has put the weights back, and the step was left out
    last = overflow.weights()
    assert not same(overflow.after, last) and all(weight.isfinite().all() for weight in last.values())
    steps = {int(values["step"]) for values in trainer.optimizer.state_dict()["state"].values()}
    assert steps == {3}


def test_an_overflow_in_the_first_pass_skips_the_perturbation_and_not_the_step(prepared, with_params):
    trainer = scaled(trainer_of("lora", fp16(with_params)))
    overflow = Overflow(trainer, step=1, passes=(0,))
    trainer.add_callback(overflow)
    trainer.train()
    assert trainer.overflows == 0 and trainer.awp.log.skipped == 1 and trainer.awp.log.steps == 2 * 4 - 1
    assert overflow.scales == [2.0**16] * 4
    assert not same(overflow.before, overflow.after)
    assert all(weight.isfinite().all() for weight in overflow.weights().values())


def test_the_scale_of_the_loss_does_not_change_the_perturbation(prepared, with_params):
    """||v|| / ||w|| is epsilon with a scale of 2^16, and the gradient at w + v is that of fp32 within float16's rounding."""
    found = {}
    for precision in ("fp32", "fp16"):
        params = with_params(train=SMALL | {"precision": precision, "max_grad_norm": 1e9}, awp={"window_start": 0.0})
        trainer, kept = trainer_of("adapter", params), Gradients()
        if precision == "fp16":
            scaled(trainer)
        trainer.add_callback(kept)
        trainer.train()
        found[precision] = torch.cat([gradient.flatten() for gradient in kept.found.values()])
        assert trainer.awp.log.ratio_mean == pytest.approx(params.awp.epsilon, rel=1e-3)
    assert (found["fp16"] - found["fp32"]).norm() < 8 * 2.0**-11 * found["fp32"].norm()


def test_gradients_that_overflow_at_every_scale_are_a_divergence(prepared, with_params):
    """The scale has been halved down to below 1: what is infinite is the gradient itself."""
    trainer = scaled(trainer_of("lora", fp16(with_params, enabled=False)), scale=2.0)
    head = next(module for module in trainer.model.modules() if isinstance(module, MixoutLinear))
    head.register_full_backward_hook(lambda module, into, out: tuple(g * float("inf") if g is not None else None for g in into))
    with pytest.raises(Exception, match="the norm of the gradient is") as caught:
        trainer.train()
    assert type(caught.value).__name__ == "Divergence" and caught.value.step == 3  # at 2, at 1, and then at 1/2
    assert trainer.overflows == 2


def test_resumed_after_an_overflow_it_ends_with_the_same_weights_and_scale(prepared, with_params, tmp_path, monkeypatch):
    monkeypatch.setenv("SAVE_POINT_SECONDS", "0")
    point = SavePoint(tmp_path / "point.safetensors", {})
    points, write = [], SavePoint.write
    monkeypatch.setattr(SavePoint, "write", lambda self, saved: (write(self, saved), points.append(self.path.read_bytes())))

    def train(overflow_at: int | None) -> FineTuningTrainer:
        trainer = scaled(trainer_of("lora", fp16(with_params)))
        history, stopping = History(), EarlyStopping(trainer.model, 3)
        trainer.add_callback(history)
        trainer.add_callback(stopping)
        if overflow_at is not None:
            trainer.add_callback(Overflow(trainer, overflow_at, passes=(3,)))
        trainer.make_resumable(Resumption(trainer, point, history, stopping))
        trainer.train_to_the_end()
        return trainer

    untouched = train(overflow_at=0)
    point.path.write_bytes(points[1])  # after two steps, the first of which was left out
    resumed = train(overflow_at=None)
    assert resumed.overflows == untouched.overflows == 1
    assert resumed.scaler.state_dict() == untouched.scaler.state_dict()
    assert resumed.scaler.get_scale() == 2.0**15 and resumed.scaler.state_dict()["_growth_tracker"] == 3
    assert same(resumed.model.state_dict(), untouched.model.state_dict())
