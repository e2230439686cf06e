"""The training loop on a tiny model: accumulation, what moves, AWP's window, files."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from peft_extras.mixout import apply_mixout
from stages.classifier.counting import head_modules
from stages.classifier.inference import predict_logits
from stages.classifier.scores import classification_scores
from stages.classifier.splits import load_split, load_tokenizer, make_collator
from stages.methods.checkpoint import load_checkpoint
from stages.methods.method import build
from stages.methods.registry import method_of
from stages.project.schema import METHODS
from stages.training.run import make_trainer, train
from tests.training.tiny import LABELS, SMALL, results, write_params


def trainer_for(method, params):
    torch.manual_seed(0)
    model = build(method_of(method), params, LABELS)
    if params.mixout.enabled:
        apply_mixout(model, head_modules(model), params.mixout.p)
    return make_trainer(params, model, load_tokenizer(), 1e-3, load_split("train"), "scratch")


def gradients_before_the_first_step(trainer) -> list[torch.Tensor]:
    """Run up to the first optimizer step and return what it would use."""
    seen = []

    class Stop(Exception):
        pass

    def hook(optimizer, *_):
        seen.extend(p.grad.clone() for group in optimizer.param_groups for p in group["params"] if p.grad is not None)
        raise Stop

    trainer.create_optimizer().register_step_pre_hook(hook)
    with pytest.raises(Stop):
        trainer.train()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("awp", [False, True])
def test_accumulated_gradients_equal_the_large_batchs(prepared, with_params, awp):
    """Without AWP micro-batches of any size add up to the batch; the loss weighs rows, not micro-batches."""
    quiet = {"mixout": {"enabled": False}, "awp": {"enabled": awp, "window_start": 0.0, "epsilon": 1e-6}}
    grads = {}
    for micro in (2, 8):
        params = with_params(train={**SMALL, "micro_batch_size": micro, "max_grad_norm": 1e9}, **quiet)
        grads[micro] = gradients_before_the_first_step(trainer_for("full", params))
    assert len(grads[2]) == len(grads[8]) > 10
    for small, large in zip(grads[2], grads[8], strict=True):
        torch.testing.assert_close(small, large, atol=1e-5 if awp else 1e-7, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_trained_stays_bit_for_bit(prepared, with_params, method):
    trainer = trainer_for(method, with_params(train=SMALL))
    trainable = {name for name, p in trainer.model.named_parameters() if p.requires_grad}
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    assert [name for name in before if name not in trainable and not torch.equal(before[name], after[name])] == []
    moved = {name for name in trainable if not torch.equal(before[name], after[name])}
    # rows of the embedding that no text uses get no gradient, yet weight decay moves them
    assert moved == trainable


def test_the_optimizer_holds_the_trainable_parameters_and_no_other(prepared, with_params):
    trainer = trainer_for("lora", with_params(train=SMALL))
    held = [p for group in trainer.create_optimizer().param_groups for p in group["params"]]
    assert sorted(map(id, held)) == sorted(id(p) for p in trainer.model.parameters() if p.requires_grad)
    frozen = next(p for p in trainer.model.parameters() if not p.requires_grad)
    stray = trainer_for("lora", with_params(train=SMALL))
    stray.optimizer = torch.optim.AdamW([frozen])
    with pytest.raises(AssertionError, match="the optimizer holds 1 tensors"):
        stray.create_optimizer()


@pytest.mark.slow
@pytest.mark.parametrize(("start", "end", "due"), [(0.5, 1.0, [0, 0, 1, 1] * 2), (0.0, 0.5, [1, 1, 0, 0] * 2)])
def test_awp_acts_in_its_window_of_each_epoch(prepared, with_params, start, end, due):
    trainer = trainer_for("full", with_params(train=SMALL, awp={"window_start": start, "window_end": end}))
    seen = []
    original = trainer.training_step
    trainer.training_step = lambda *args: (
        seen.append((trainer.state.global_step, trainer.awp_is_due())),
        original(*args),
    )[1]
    trainer.train()
    assert [int(flag) for step, flag in sorted(set(seen))] == due  # 4 optimizer steps an epoch, 2 epochs
    assert trainer.awp.log.steps == sum(flag for _, flag in seen)


@pytest.mark.slow
def test_all_methods_see_the_same_batches(prepared, with_params):
    orders = []
    for method in METHODS:
        trainer = trainer_for(method, with_params(train=SMALL))
        batches, original = [], trainer.training_step
        trainer.training_step = lambda model, inputs, n, original=original, batches=batches: (
            batches.append(inputs["input_ids"].tolist()),
            original(model, inputs, n),
        )[1]
        trainer.train()
        orders.append(batches)
    assert orders[0] == orders[1] == orders[2]
    assert len(orders[0]) == 16 and orders[0][:8] != orders[0][8:]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_gradient_checkpointing_trains_the_same(prepared, params, method):
    """With dropout: the second computation of a layer must draw the masks of the first."""
    config = json.loads((prepared / "models/base/config.json").read_text())
    (prepared / "models/base/config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.2}))
    weights = []
    for recompute in (False, True):
        write_params(prepared, params, gradient_checkpointing=recompute)
        train(method_of(method))
        (path,) = (prepared / "models" / method).glob("*.safetensors")
        weights.append(load_file(path))
    assert weights[0].keys() == weights[1].keys()
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_train_writes_the_best_epochs_model_its_curve_and_metrics(prepared, params, method, capsys):
    write_params(prepared, params, epochs=3)
    train(method_of(method))

    curve = pd.read_csv(f"plots/learning_curves/{method}.csv")
    summary = json.loads((prepared / f"metrics/training/{method}.json").read_text())
    assert curve["epoch"].tolist() == list(range(1, summary["epochs_trained"] + 1))
    assert summary["best_epoch"] == curve["epoch"][curve["f1"].idxmax()]
    assert summary["best_validation_f1"] == pytest.approx(curve["f1"].max(), abs=1e-6)
    assert summary["mixout_layers"] == 1 and summary["awp_steps"] > 0
    assert summary["awp_relative_step_mean"] == pytest.approx(0.01, rel=1e-3)

    printed = capsys.readouterr().out
    assert f"{method}: trainable parameters: {summary['trainable_parameters']:,} of" in printed
    assert "confusion matrix on validation" in printed

    dataset = load_split("validation")
    logits = predict_logits(load_checkpoint(prepared / "models" / method), dataset, make_collator(load_tokenizer()), 5)
    scores = classification_scores(np.asarray(dataset["label"]), logits.argmax(axis=1), 2)
    assert scores["f1"] == pytest.approx(summary["best_validation_f1"], abs=1e-6)


@pytest.mark.slow
def test_training_again_gives_the_same_bytes(prepared, params):
    write_params(prepared, params)
    train(method_of("adapter"))
    first = results(prepared)
    train(method_of("adapter"))
    assert len(first) == 9 and results(prepared) == first
    assert load_file(prepared / "models/adapter/adapter_model.safetensors")
