"""Run the trainings of an experiment in parallel, one per core with one thread each: the number of cores changes no result."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from datasets import Dataset

from stages.classifier.splits import load_labels, load_tokenizer
from stages.methods.registry import method_of
from stages.project.schema import Params
from stages.training.history import EpochRow
from stages.training.results import Run
from stages.training.run import fit


def rows_of(function: Callable[..., tuple], jobs: Sequence[tuple], columns: Sequence[str]) -> Iterator[tuple]:
    """Yield `function(*job)` for each job in order, and print each row with the names of its `columns`."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as executor:
        for row in executor.map(function, *zip(*jobs, strict=True)):
            print(dict(zip(columns, row, strict=True)), flush=True)
            yield row


def fit_quietly(params: Params, method: str, rows: Dataset) -> tuple[Run, EpochRow]:
    """Train `method` on `rows` with one thread, printing nothing, and return the run and its best epoch."""
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):  # the output of several trainings at once would be unreadable
        run = fit(method_of(method), params, load_labels(), load_tokenizer(), rows)
    return run, run.history.rows[run.stopping.best_epoch - 1]
