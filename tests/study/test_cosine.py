"""Watching the cosine of the gradients changes nothing of a training."""

import math

import pytest
import torch

from stages.classifier.splits import load_labels, load_split, load_tokenizer, make_collator
from stages.methods.registry import method_of
from stages.training.run import fit
from study.cosine import CosineWatch, mean_of
from tests.training.tiny import SMALL, prepare


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_training_is_the_same_with_and_without_and_there_is_a_number_per_epoch(project, with_params, method):
    prepare(project)
    params = with_params(train={**SMALL, "learning_rate": {"full": 1e-3, "lora": 1e-3, "adapter": 1e-3}}, awp={"epsilon": 0.01})

    def weights(callbacks) -> dict[str, torch.Tensor]:
        run = fit(method_of(method), params, load_labels(), load_tokenizer(), load_split("train"), callbacks=callbacks)
        assert run.trainer.awp.log.steps > 0
        return run.trainer.model.state_dict() | {"steps": torch.tensor(run.trainer.awp.log.steps)}

    watch = CosineWatch(params.awp, make_collator(load_tokenizer())(load_split("validation").select(range(4)).to_list()))
    without, watched = weights([]), weights([watch])
    assert all(torch.equal(without[name], watched[name]) for name in without)
    assert len(watch.values) == SMALL["epochs"] and all(-1 <= value <= 1 for value in watch.values)
    assert watch.mean() == pytest.approx(sum(watch.values) / 2)


def test_epochs_without_a_gradient_do_not_count():
    assert mean_of([0.5, math.nan, 0.7]) == pytest.approx(0.6)
    assert mean_of([math.nan]) is None and mean_of([]) is None
