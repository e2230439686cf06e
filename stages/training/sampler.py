"""The order in which training sees its rows: random, yet with texts of one length together."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

# A pool is sorted by length before it is cut into batches. 50 batches hold enough texts that those of one batch differ
# little, and few enough that which texts meet stays random.
POOL_BATCHES = 50


class LengthGroupedSampler(Sampler[int]):
    """Yields row indices, none twice, so that each consecutive `batch_size` of them have about the same length.

    The order is a function of (seed, epoch) alone: not of the method, the model or the state of any random number
    generator, so all methods see the same batches. The rows are shuffled, cut into pools of 50 batches, each pool is
    sorted by length and cut into batches, and the batches of all pools are shuffled. What does not fill a batch is left out, so
    that several processes always have equal parts: random rows, others in every epoch. Fewer rows than a batch are one batch.

    Args:
        lengths: tokens of each row, shape (N,).
        batch_size: rows of one optimizer step.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int):
        self.lengths = np.asarray(lengths)  # 4 bytes a row if they come from a column on disk; `order` below takes 8 more
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of epoch `epoch`, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        rows = len(self.lengths)
        return rows - rows % self.batch_size or rows

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.lengths))[: len(self)]
        pool_size = POOL_BATCHES * self.batch_size
        for start in range(0, len(order), pool_size):
            pool = order[start : start + pool_size]
            # in place; the shuffle within a length is kept by the stable sort
            pool[:] = pool[np.argsort(-self.lengths[pool], kind="stable")]
        starts = np.arange(0, len(order), self.batch_size)
        generator.shuffle(starts)
        for start in starts:
            yield from order[start : start + self.batch_size].tolist()
