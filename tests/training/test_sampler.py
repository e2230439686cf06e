"""The order of the rows: complete, random, grouped by length, and a function of seed and epoch alone."""

import tracemalloc

import numpy as np
import torch

from stages.training.sampler import LengthGroupedSampler

LENGTHS = np.random.default_rng(0).integers(3, 80, size=1003)


def order(epoch=0, seed=1):
    sampler = LengthGroupedSampler(LENGTHS, batch_size=32, seed=seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_no_row_comes_twice_and_the_rest_of_a_batch_waits_for_another_epoch():
    whole = 1003 // 32 * 32
    assert len(order()) == len(set(order())) == len(LengthGroupedSampler(LENGTHS, 32, 0)) == whole
    left_out = [set(range(1003)) - set(order(epoch)) for epoch in range(3)]
    assert not left_out[0] & left_out[1] & left_out[2]


def test_fewer_rows_than_a_batch_are_one_batch():
    sampler = LengthGroupedSampler(LENGTHS[:20], 32, 0)
    assert sorted(sampler) == list(range(20)) and len(sampler) == 20
    assert len(list(LengthGroupedSampler(LENGTHS[:32], 32, 0))) == 32


def test_the_order_depends_on_seed_and_epoch_and_nothing_else():
    first = order()
    torch.manual_seed(99)
    np.random.seed(99)
    assert order() == first
    assert order(epoch=1) != first and order(seed=2) != first


def test_batches_hold_texts_of_similar_length_in_random_order():
    batches = [LENGTHS[order()[i : i + 32]] for i in range(0, 992, 32)]
    assert np.mean([np.ptp(batch) for batch in batches]) < 8  # of 77 over all
    means = [batch.mean() for batch in batches]
    assert np.corrcoef(means, np.arange(len(means)))[0, 1] ** 2 < 0.3


def test_an_order_costs_a_few_bytes_a_row():
    """8 for the row's number and a little for the batches: memory does not hold the rows."""
    lengths = np.full(200_000, 20, dtype=np.int32)
    tracemalloc.start()
    next(iter(LengthGroupedSampler(lengths, 32, 0)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * len(lengths)
