"""The order in which training sees its rows: random, but with texts of similar length together."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

# A pool is sorted by length before it is cut into batches. 50 batches are enough for the texts of a batch to differ little in
# length, and few enough for a batch's texts to stay a random choice.
POOL_BATCHES = 50


class LengthGroupedSampler(Sampler[int]):
    """Yields row indices, none twice, so that each consecutive `batch_size` rows have similar lengths.

    The order depends only on (seed, epoch), not on the method, the model or the state of any random number generator, so all
    methods see the same batches. The rows are shuffled and cut into pools of 50 batches; each pool is sorted by length and cut
    into batches, and the batches of all pools are shuffled. Rows that do not fill a batch are left out, so that several
    processes always have equal shares; they are random and change with every epoch. Fewer rows than a batch are one batch.

    Args:
        lengths: tokens of each row, shape (N,).
        batch_size: rows of one optimizer step.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, batch_size: int, seed: int):
        self.lengths = np.asarray(lengths)  # 4 bytes per row if they come from a column on disk; `order` below takes 8 more
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
            # in place; the stable sort keeps the shuffle within a length
            pool[:] = pool[np.argsort(-self.lengths[pool], kind="stable")]
        starts = np.arange(0, len(order), self.batch_size)
        generator.shuffle(starts)
        for first in starts:
            yield from order[first : first + self.batch_size].tolist()
