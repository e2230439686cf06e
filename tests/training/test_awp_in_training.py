"""AWP's variants in a whole training: frozen weights come back, the summary tells what was done, processes agree."""

import json

import pytest
import torch
from safetensors.torch import load_file

from stages.methods.registry import method_of
from stages.training.run import train
from tests.training.test_processes import TWO, run
from tests.training.test_training import trainer_for
from tests.training.tiny import SMALL, write_params

pytestmark = pytest.mark.slow

VARIANTS = [{"target": "all"}, {"target": "all", "embeddings": "rows"}, {"embeddings": "exclude"}, {"box": 0.01, "step": 0.01}]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_frozen_weights_are_bit_for_bit_as_before_whatever_moved_them(prepared, with_params, method, variant):
    trainer = trainer_for(method, with_params(train=SMALL, awp={"window_start": 0.0, **variant}))
    frozen = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if not p.requires_grad}
    trainer.train()
    after = dict(trainer.model.named_parameters())
    assert len(frozen) > 10
    assert all(torch.equal(after[name], value) and after[name].grad is None for name, value in frozen.items())
    assert not any(after[name].requires_grad for name in frozen)
    held = {id(weight) for weight in trainer.awp.weights}
    assert any(id(after[name]) in held for name in frozen) == (variant.get("target") == "all")
    assert trainer.awp.log.steps == 16 and trainer.awp.log.skipped == 0


def test_the_summary_tells_what_a_box_left_of_the_step(prepared, with_params):
    write_params(prepared, with_params(awp={"box": 0.001, "step": 0.01}))
    train(method_of("full"))
    summary = json.loads((prepared / "metrics/training/full.json").read_text())
    assert 0 < summary["awp_relative_step_mean"] < summary["awp_relative_step_max"] <= 0.001 * (1 + 1e-3)
    assert summary["awp_skipped"] == 0


def test_two_processes_move_all_weights_as_one_with_two_micro_batches_does(prepared, with_params):
    """The first pass asks for gradients of frozen weights that the distributed wrapper knows nothing of."""
    write_params(prepared, with_params(mixout={"enabled": False}, awp={"target": "all", "embeddings": "rows"}))
    run([*TWO["torchrun"]], "stages.train_lora")
    together = load_file(prepared / "models/lora/adapter_model.safetensors")
    train(method_of("lora"))
    alone = load_file(prepared / "models/lora/adapter_model.safetensors")
    assert together.keys() == alone.keys()
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-5, rtol=1e-4, msg=name)


def test_a_window_without_a_step_is_told(prepared, with_params, capsys):
    """The 4 steps of an epoch lie at 0, 1/4, 1/2 and 3/4 of it."""
    for start, told in ((0.75, False), (0.8, True)):
        write_params(prepared, with_params(awp={"window_start": start}))
        train(method_of("adapter"))
        printed = capsys.readouterr().out
        assert ("adapter: AWP never acted: no optimizer step of an epoch lies in its window" in printed) == told
