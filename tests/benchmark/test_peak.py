"""Measured peak memory: the meter sees memory that was freed again, and a new process measures a method."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stages.benchmark import peak
from stages.benchmark.peak import ResidentMeter, peaks_measured
from stages.memory.batching import Batching
from stages.project.errors import UserError
from stages.project.schema import METHODS
from tests.benchmark.forks import in_a_fork

MIB = 2**20
CPU = torch.device("cpu")
linux_only = pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc")


@pytest.fixture(scope="module")
def parent():
    """A new process: in this one, an earlier test may have left the allocator with memory to reuse."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


def peak_of_64_mib_that_were_freed(reset: bool) -> int:
    meter = ResidentMeter()
    np.ones(8 * 2**20)
    if reset:
        meter.reset()
    return meter.peaks()[""]


@linux_only
@pytest.mark.slow
@pytest.mark.xdist_group("meter")
def test_the_meter_sees_memory_that_was_freed(parent):
    assert 60 * MIB < parent.submit(in_a_fork, peak_of_64_mib_that_were_freed, False).result() < 200 * MIB


@linux_only
@pytest.mark.slow
@pytest.mark.xdist_group("meter")
def test_reset_forgets_the_peak_before(parent):
    assert parent.submit(in_a_fork, peak_of_64_mib_that_were_freed, True).result() < 32 * MIB


def peak_of_60_mb_that_were_freed_before() -> int:
    blocks = [b"1" * 60_000 for _ in range(1000)]
    last = bytes(60_000)  # above them: their memory is not the heap's end, which would be given back
    del blocks
    meter = ResidentMeter()
    blocks = [b"2" * 60_000 for _ in range(1000)]
    return meter.peaks()[""] if last and blocks else 0


@linux_only
@pytest.mark.slow
@pytest.mark.xdist_group("meter")
def test_memory_that_the_process_has_freed_before_counts_when_it_is_taken_again(parent):
    """Blocks of this size stay with the allocator when they are freed, unless it is told otherwise."""
    assert 50 * MIB < parent.submit(in_a_fork, peak_of_60_mb_that_were_freed_before).result() < 70 * MIB


def test_a_peak_that_is_not_positive_is_refused():
    assert peak._positive(1, "lora") == 1
    with pytest.raises(UserError, match=r"of 'lora' cannot be measured here: its peak is -1\.0 MiB above .* must be more than 0"):
        peak._positive(-MIB, "lora")


def measure(params) -> dict[str, dict[str, float]]:
    with peaks_measured(params, ["negative", "positive"], Batching(2, 2), 8, CPU) as wait:
        return wait()


@pytest.mark.slow
def test_new_processes_report_both_kinds_of_step(project, params):
    peaks = measure(params)
    assert list(peaks) == list(METHODS)
    for numbers in peaks.values():
        assert list(numbers) == ["peak_mib", "peak_awp_mib"]
        assert all(0 < value < 500 for value in numbers.values())


def kill_yourself(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_process_is_a_user_error(monkeypatch, params):
    monkeypatch.setattr(peak, "_peak_of_steps", kill_yourself)
    with pytest.raises(UserError, match=r"lower train\.micro_batch_size"):
        measure(params)


@linux_only
def test_frozen_weights_count_although_they_come_from_a_file(tmp_path):
    """A loaded weight is a page of its file until it is written; on a device that trains it takes memory like any other."""
    save_file({"weight": torch.ones(1024, 1024)}, tmp_path / "w.safetensors")
    model = nn.Linear(1024, 1024, bias=False)
    model.load_state_dict(load_file(tmp_path / "w.safetensors"), assign=True)
    address = model.weight.data_ptr()
    peak._leave_the_file(model)
    assert model.weight.data_ptr() != address and torch.equal(model.weight, torch.ones(1024, 1024))


def test_the_environment_is_as_before(monkeypatch):
    monkeypatch.setenv("SET_BEFORE", "old")
    monkeypatch.delenv("UNSET_BEFORE", raising=False)
    with peak._environment(SET_BEFORE="new", UNSET_BEFORE="new"):
        assert (os.environ["SET_BEFORE"], os.environ["UNSET_BEFORE"]) == ("new", "new")
    assert os.environ["SET_BEFORE"] == "old"
    assert "UNSET_BEFORE" not in os.environ
