"""Inputs and models that are compared: equal inputs, and LoRA merged is LoRA."""

import copy

import pytest
import torch

from stages.benchmark.arms import MERGE_TOLERANCE, load_arms, merge_difference
from stages.benchmark.lengths import check_lengths
from stages.benchmark.protocol import busy_note
from stages.classifier.saving import weights_sha256
from stages.memory.inputs import RandomInputs
from stages.project.errors import UserError
from stages.project.machine import cpu_model

INPUTS = RandomInputs(vocabulary=50, classes=2, seed=13, device=torch.device("cpu"))
SHAPES = [(1, 4), (3, 8)]


def test_a_shape_always_gets_the_same_batch():
    first, second = INPUTS.batch(3, 8), INPUTS.batch(3, 8)
    assert torch.equal(first["input_ids"], second["input_ids"])
    assert first["input_ids"].shape == (3, 8)
    assert 0 <= first["input_ids"].min() and first["input_ids"].max() < 50
    assert first["attention_mask"].all()
    assert INPUTS.labels(3).tolist() == [0, 1, 0]


def test_the_same_model_does_not_differ_from_itself(tiny_bert):
    assert merge_difference(tiny_bert.eval(), tiny_bert, INPUTS, SHAPES) == 0


@pytest.mark.parametrize("shift", [10 * MERGE_TOLERANCE, float("nan")])
def test_a_difference_beyond_the_tolerance_is_an_error(tiny_bert, shift):
    other = copy.deepcopy(tiny_bert.eval())
    with torch.no_grad():
        other.classifier.bias[1] += shift
    with pytest.raises(UserError, match="merged and unmerged LoRA differ by"):
        merge_difference(tiny_bert, other, INPUTS, SHAPES)


def test_the_largest_difference_of_all_shapes_is_told(tiny_bert):
    other = copy.deepcopy(tiny_bert.eval())
    with torch.no_grad():
        other.classifier.bias[0] += 0.5 * MERGE_TOLERANCE
    difference = merge_difference(tiny_bert, other, INPUTS, SHAPES)
    assert difference == pytest.approx(0.5 * MERGE_TOLERANCE, rel=1e-3)


def test_missing_checkpoints_are_named(project):
    with pytest.raises(UserError, match="models/full"):
        load_arms(torch.device("cpu"))


def test_lengths_beyond_the_model_are_refused():
    check_lengths([16, 32], 32)
    with pytest.raises(UserError, match=r"received \[64, 128\].*up to 32"):
        check_lengths([16, 64, 128], 32)


def test_hash_of_the_weights(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"abc")
    assert weights_sha256(tmp_path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_processor_name_is_read_from_the_kernel(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Some CPU @ 2 GHz\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert cpu_model(tmp_path / "absent")


def test_other_programs_are_noted():
    assert busy_note(2.9, threads=2) is None
    assert "load average 4.0 while 2 thread(s)" in busy_note(4.0, threads=2)
