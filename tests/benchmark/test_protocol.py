"""Timed calls take turns: which runs when, and what is timed."""

from collections import Counter

import pytest
import torch

from stages.benchmark.protocol import busy_note, median_milliseconds, rotated, synchronizer, time_interleaved


class Machine:
    """A clock that stands still, except that calls and waiting for the device take known times."""

    def __init__(self):
        self.now = 0.0
        self.trace = []

    def clock(self) -> float:
        return self.now

    def call(self, name: str, seconds: float):
        def run() -> None:
            self.trace.append(name)
            self.now += seconds

        return run

    def synchronize(self) -> None:
        self.now += 0.25


def test_rotation_brings_every_name_once_into_every_position():
    names = ["full", "lora", "lora_merged", "adapter"]
    rounds = [rotated(names, turn) for turn in range(4)]
    for position in range(4):
        assert sorted(order[position] for order in rounds) == sorted(names)
    assert rotated(names, 4) == names


def test_every_round_runs_each_call_once_in_rotating_order():
    machine = Machine()
    calls = {name: machine.call(name, 1.0) for name in "abc"}
    time_interleaved(calls, repeats=4, warmup=0, clock=machine.clock)
    rounds = ["".join(machine.trace[start : start + 3]) for start in range(0, 12, 3)]
    assert rounds == ["abc", "bca", "cab", "abc"]


def test_warmup_runs_but_is_not_timed():
    machine = Machine()
    calls = {name: machine.call(name, 1.0) for name in "ab"}
    seconds = time_interleaved(calls, repeats=3, warmup=2, clock=machine.clock)
    assert Counter(machine.trace) == {"a": 5, "b": 5}
    assert seconds == {"a": [1.0] * 3, "b": [1.0] * 3}


def test_the_wait_for_the_device_after_a_call_counts_and_the_one_before_does_not():
    machine = Machine()
    calls = {"a": machine.call("a", 1.0), "b": machine.call("b", 2.0)}
    seconds = time_interleaved(calls, 2, 0, synchronize=machine.synchronize, clock=machine.clock)
    assert seconds == {"a": [1.25, 1.25], "b": [2.25, 2.25]}


def test_medians_are_in_milliseconds():
    assert median_milliseconds({"a": [0.001, 0.5, 0.003]}) == {"a": pytest.approx(3.0)}


def test_a_cpu_has_nothing_to_wait_for():
    assert synchronizer(torch.device("cpu"))() is None


def test_other_programs_are_noted():
    assert busy_note(2.9, threads=2) is None
    assert "load average 4.0 while 2 thread(s)" in busy_note(4.0, threads=2)
