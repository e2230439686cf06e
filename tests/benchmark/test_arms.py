"""The models that are compared: merged LoRA gives the logits of unmerged LoRA, and a missing checkpoint is named."""

import copy

import pytest
import torch

from stages.benchmark.arms import MERGE_TOLERANCE, load_arms, merge_difference
from stages.memory.inputs import RandomInputs
from stages.project.errors import UserError

INPUTS = RandomInputs(vocabulary=50, classes=2, seed=13, device=torch.device("cpu"))
SHAPES = [(1, 4), (3, 8)]


def test_a_shape_always_gets_the_same_batch():
    first, second = INPUTS.batch(3, 8), INPUTS.batch(3, 8)
    assert torch.equal(first["input_ids"], second["input_ids"])
    assert first["input_ids"].shape == (3, 8)
    assert first["input_ids"].min() >= 0 and first["input_ids"].max() < 50
    assert first["attention_mask"].all()
    assert INPUTS.labels(3).tolist() == [0, 1, 0]


def test_a_model_does_not_differ_from_itself(tiny_bert):
    assert merge_difference(tiny_bert.eval(), tiny_bert, INPUTS, SHAPES) == 0


@pytest.mark.parametrize("shift", [10 * MERGE_TOLERANCE, float("nan")])
def test_a_difference_beyond_the_tolerance_is_an_error(tiny_bert, shift):
    different = copy.deepcopy(tiny_bert.eval())
    with torch.no_grad():
        different.classifier.bias[1] += shift
    with pytest.raises(UserError, match="merged and unmerged LoRA differ by"):
        merge_difference(tiny_bert, different, INPUTS, SHAPES)


def test_the_largest_difference_over_all_shapes_is_returned(tiny_bert):
    different = copy.deepcopy(tiny_bert.eval())
    with torch.no_grad():
        different.classifier.bias[0] += 0.5 * MERGE_TOLERANCE
    difference = merge_difference(tiny_bert, different, INPUTS, SHAPES)
    assert difference == pytest.approx(0.5 * MERGE_TOLERANCE, rel=1e-3)


def test_missing_checkpoints_are_named(project):
    with pytest.raises(UserError, match="models/full"):
        load_arms(torch.device("cpu"), acceleration=True)
