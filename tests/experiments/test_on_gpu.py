"""The measurements for a GPU, on a CPU with tiny encoders: what is measured, in what form, and what is refused."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from transformers import BertConfig

from experiments.on_gpu import context, latency, measure, memory, models, steps, training
from experiments.on_gpu.four_bit import is_installed
from stages.plan.stage import OWN
from stages.planning.table import Row
from stages.project.errors import UserError
from stages.project.schema import METHODS
from tests.imports import ROOT

CPU = torch.device("cpu")
TINY = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    def config_of(encoder):
        return BertConfig(**TINY, num_labels=models.CLASSES)

    for module in (models, memory, steps, latency):
        monkeypatch.setattr(module, "config_of", config_of)


@pytest.fixture
def quick(with_params):
    return with_params(
        data={"max_length": 8}, train={"batch_size": 4, "micro_batch_size": 2}, plan={"models": []},
        benchmark={"repeats": 6, "warmup": 0, "batch_sizes": [1, 2], "lengths": [4, 8]},
    )  # fmt: skip


@pytest.fixture
def row(quick):
    def make(**values):
        case = dict.fromkeys(Row._fields) | {
            "model": OWN, "method": "lora", "awp": True, "gradient_checkpointing": True, "precision": "bf16",
            "frozen_dtype": "bf16", "length": 8, "micro_batch_size": 2, "accumulation_steps": 2,
        }  # fmt: skip
        return Row(**case | values)

    return make


def test_what_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["on_gpu", "memory", "speed"])
    with pytest.raises(UserError, match=r"unknown part\(s\) speed; use some of memory, steps, latency, training"):
        measure.main()
    monkeypatch.setattr(sys, "argv", ["on_gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="a CUDA GPU is needed"):
        measure.main()


def test_an_unreadable_driver_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="the memory in use cannot be read"):
        context.used_mib()


def test_full_fine_tuning_has_no_frozen_weights_to_measure(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: True)
    found = models.cases(torch.device("cuda"), four_bit=True)
    assert found["fp32", "same"] == list(METHODS) and found["bf16", "nf4"] == ["lora", "adapter"]
    assert ("bf16", "nf4") not in models.cases(torch.device("cuda"), four_bit=False)


def test_an_older_gpu_is_measured_in_fp16_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "old")
    assert list(models.cases(torch.device("cuda"), four_bit=True)) == [
        ("fp32", "same"), ("fp16", "same"), ("fp16", "fp16"), ("fp16", "nf4"),
    ]  # fmt: skip


def test_what_does_not_fit_on_the_gpu_is_left_out_and_said(capsys):
    with context.leaving_room("RoBERTa-large in fp32"):
        raise torch.cuda.OutOfMemoryError
    assert "RoBERTa-large in fp32 is left out: it does not fit on this GPU" in capsys.readouterr().out


def test_steps_of_all_methods_are_timed(quick):
    rows = pd.DataFrame(steps.timed(OWN, ("bf16", "same"), list(METHODS), quick, CPU), columns=steps.HEADER)
    assert list(rows["method"]) == list(METHODS) and set(rows["micro_batch_size"]) == {4} and set(rows["length"]) == {8}


def test_forward_passes_of_all_arms_are_timed_at_all_shapes(quick):
    rows = pd.DataFrame(latency.timed(OWN, "bf16", quick, CPU), columns=latency.HEADER)
    assert len(rows) == 4 * 2 * 2 and set(rows[rows["method"] == "full"]["ratio_to_full"]) == {1}


def test_merged_lora_has_no_layer_of_lora(quick):
    found = latency.arms(OWN, quick, CPU)
    assert not any("lora" in name for name, _ in found["lora_merged"].named_modules())
    assert any("lora" in name for name, _ in found["lora"].named_modules())


class Meter:
    """Counts nothing; remembers how many steps were taken before the reset, by the optimizer's state."""

    def reset(self):
        pass

    def peaks(self):
        return {"": 3 * 2**20, "_reserved": 4 * 2**20}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [2, 4])
def test_a_planned_step_is_taken(quick, row, method, size):
    planned = row(method=method, micro_batch_size=size, frozen_dtype="same" if method == "full" else "bf16")
    assert memory.peaks_of_step(planned, quick, CPU, Meter()) == (3.0, 4.0)


def test_what_exceeds_the_budget_is_measured_without_it(quick, row, monkeypatch):
    """The first try has the budget less the context, of all memory; the second all of it."""
    shares = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=8 * 2**30))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: shares.append(share))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(memory, "CudaMeter", lambda device: None)

    def step(*arguments):
        if shares[-1] < 1:
            raise torch.cuda.OutOfMemoryError
        return 1.0, 2.0

    monkeypatch.setattr(memory, "peaks_of_step", step)
    assert memory.peaks_within(row(), quick, CPU, 1024) == memory.Peaks(1.0, 2.0, fits=False)
    assert shares == [3 / 8, 1.0, 1.0, 1.0]
    monkeypatch.setattr(memory, "peaks_of_step", lambda *arguments: (1.0, 2.0))
    assert memory.peaks_within(row(), quick, CPU, 1024).fits
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=2**30))
    assert memory.peaks_within(row(), quick, CPU, 0).fits and shares[-2:] == [1.0, 1.0]


def test_another_precision_changes_nothing_else(quick):
    other = training.in_precision(quick, "fp16", "same").model_dump()
    assert other["train"].pop("precision") == "fp16"
    mine = quick.model_dump()
    mine["train"].pop("precision")
    assert other == mine


def test_whether_nf4_can_be_measured_is_known(capsys):
    assert is_installed() or "nf4 is left out" in capsys.readouterr().out


def test_the_committed_tables_have_the_columns_that_are_written():
    headers = {"memory": memory.HEADER, "steps": steps.HEADER, "latency": latency.HEADER, "training": training.HEADER}
    for part, header in headers.items():
        assert tuple(pd.read_csv(ROOT / f"metrics/gpu/{part}.csv").columns) == header
