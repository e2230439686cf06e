"""python -m experiments.two_processes [--seeds 13 14 15] [--rows 1400]

Trains the adapter as params.yaml says, but on fewer rows, with one process and with two under torchrun, each with several
seeds, and writes the validation scores to metrics/processes.csv. Two processes draw different dropout and mixout masks than one:
their F1 should differ no more than between two seeds. Data, split and training rows are the same in all trainings.

Needs the outs of `prepare`. The trainings run one after the other; each uses all cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from stages.classifier.splits import load_split
from stages.project.errors import UserError
from stages.project.files import write_csv
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS, PROCESSED
from stages.project.running import run_stage
from stages.project.schema import Params

ROOT = Path.cwd()
LAUNCHERS = {1: "python", 2: "torchrun --standalone --nproc-per-node=2"}
COLUMNS = ("processes", "seed", "train_rows", "best_epoch", "validation_f1")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the adapter with one process and with two, each with several seeds.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[13, 14, 15])
    parser.add_argument("--rows", type=int, default=1400)
    options = parser.parse_args()
    params = load_params()
    rows = []
    for seed in options.seeds:
        for processes in LAUNCHERS:
            rows.append(train(params, seed, processes, options.rows))
            print(dict(zip(COLUMNS, rows[-1], strict=True)), flush=True)
    write_csv(METRICS / "processes.csv", COLUMNS, rows)


def train(params: Params, seed: int, processes: int, rows: int) -> tuple:
    """Train in a temporary folder and return a row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained_rows = lay_out(folder, params, seed, rows, LAUNCHERS[processes])
        threads = str(max(1, (os.cpu_count() or 1) // processes))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-m", "stages.train_adapter"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"the training with {processes} process(es) and seed {seed} failed:\n{done.stderr[-2000:]}")
        summary = json.loads((folder / "metrics/training/adapter.json").read_text())
    assert summary["processes"] == processes
    return processes, seed, trained_rows, summary["best_epoch"], round(summary["best_validation_f1"], 6)


def lay_out(folder: Path, params: Params, seed: int, rows: int, launcher: str) -> int:
    """Write to `folder` what the training stage reads, and return the number of training rows.

    These are `rows` of the training set, or all if it has fewer, the same for every seed.
    """
    content = params.model_dump()
    content["seed"] = seed
    content["train"]["launcher"] = launcher
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(ROOT / "dvc.yaml", folder)
    for package in ("stages", "peft_extras"):
        (folder / package).symlink_to(ROOT / package)
    (folder / BASE_MODEL).parent.mkdir(parents=True)
    (folder / BASE_MODEL).symlink_to(ROOT / BASE_MODEL)
    (folder / PROCESSED).mkdir(parents=True)
    for file in ("validation.arrow", "labels.json"):
        shutil.copy(ROOT / PROCESSED / file, folder / PROCESSED)
    table = load_split("train")
    chosen = np.random.default_rng(params.seed).permutation(len(table))[:rows]
    with_rows = table.select(np.sort(chosen), keep_in_memory=True)
    with_rows.save_to_disk(str(folder / "rows"))
    (part,) = (folder / "rows").glob("*.arrow")
    part.rename(folder / PROCESSED / "train.arrow")
    return len(with_rows)


if __name__ == "__main__":
    run_stage("two_processes", main)
