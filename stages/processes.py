"""Which of the processes of a training this one is, as torchrun and accelerate tell it through the environment."""

import os


def process_count() -> int:
    """How many processes train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_index() -> int:
    """This process's number among them, from 0 on."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this is the process that writes results and speaks to the user."""
    return process_index() == 0
