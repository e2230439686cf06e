"""Which process of a distributed training this is, as torchrun and accelerate say in the environment."""

import os


def process_count() -> int:
    """The number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """The rank of this process, counted from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this is rank 0, the process that writes results and prints."""
    return process_index() == 0
