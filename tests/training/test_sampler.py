"""The order of the rows: complete, random, grouped by length, and a function of seed and epoch alone."""

import numpy as np
import torch

from stages.training.sampler import LengthGroupedSampler

LENGTHS = np.random.default_rng(0).integers(3, 80, size=1003)


def order(epoch=0, seed=1):
    sampler = LengthGroupedSampler(LENGTHS, batch_size=32, seed=seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_row_comes_once():
    assert sorted(order()) == list(range(1003))
    assert len(LengthGroupedSampler(LENGTHS, 32, 0)) == 1003


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


def test_the_incomplete_batch_comes_last():
    counts = np.unique(np.array(order()[-11:]), return_counts=True)[1]
    assert len(counts) == 1003 % 32
    assert np.ptp(LENGTHS[order()[-11:]]) < 20
