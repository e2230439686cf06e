"""The pipeline's trainings on a GPU in each precision, and how far their predictions are from those of the committed run."""

import contextlib
import io
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
import torch

from experiments.on_gpu.four_bit import is_installed
from experiments.on_gpu.models import cases
from stages.classifier.inference import predict_logits
from stages.classifier.scores import classification_scores
from stages.classifier.splits import column, load_labels, load_split, load_tokenizer, make_collator
from stages.methods.registry import method_of
from stages.project.files import write_csv
from stages.project.parameters import load_params
from stages.project.paths import CONFUSION
from stages.project.schema import Params
from stages.report.facts import GPU_METRICS
from stages.training.run import fit

HEADER = ("method", "precision", "frozen_dtype", "best_epoch", "validation_f1", "test_f1", "overflows", "as_committed")
AT_ONCE = 4  # trainings of a small encoder that share the GPU: one alone waits most of the time for kernels to be launched
THREADS = 2


def measure(params: Params, device: torch.device) -> None:
    """Write metrics/gpu/training.csv."""
    jobs = [(method, *pair) for pair, methods in cases(device, is_installed()).items() for method in methods]
    rows = []
    fitting = int(torch.cuda.get_device_properties(device).total_memory / 2**30 / params.train.memory_budget_gib)
    with ProcessPoolExecutor(max(1, min(AT_ONCE, fitting)), get_context("spawn"), torch.set_num_threads, (THREADS,)) as pool:
        for row in pool.map(trained, *zip(*jobs, strict=True)):
            rows.append(row)
            print(*row, flush=True)
            write_csv(GPU_METRICS / "training.csv", HEADER, rows)


def trained(method: str, precision: str, frozen_dtype: str) -> tuple:
    """Train `method` as the pipeline does, on the first GPU, and return its row.

    Predictions on the test set are in the precision of the training. The last column counts those that are the same as the
    committed run's.
    """
    params = in_precision(load_params(), precision, frozen_dtype)
    labels, tokenizer, test = load_labels(), load_tokenizer(), load_split("test")
    with contextlib.redirect_stdout(io.StringIO()):  # the output of several trainings at once would be unreadable
        run = fit(method_of(method), params, labels, tokenizer, load_split("train"))
    best = run.history.rows[run.stopping.best_epoch - 1]
    logits = predict_logits(run.trainer.model, test, make_collator(tokenizer), params.evaluate.batch_size, precision)
    predicted, truth = logits.argmax(axis=1), column(test, "label")
    committed = pd.read_csv(CONFUSION / f"{method}.csv", dtype=str, keep_default_na=False)["predicted"]
    same = sum(labels[index] == name for index, name in zip(predicted, committed, strict=True))
    scores = round(best.f1, 6), round(classification_scores(truth, predicted, len(labels))["f1"], 6)
    return method, precision, frozen_dtype, best.epoch, *scores, run.trainer.overflows, round(same / len(test), 4)


def in_precision(params: Params, precision: str, frozen_dtype: str) -> Params:
    """`params` with another precision of the training."""
    content = params.model_dump()
    content["train"] |= {"precision": precision, "frozen_dtype": frozen_dtype}
    return Params.model_validate(content)
