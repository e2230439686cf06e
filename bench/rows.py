"""python -m bench.rows [--rows 10000 100000 1000000]

Measures how the time and memory of `prepare` and the memory of training grow with the number of rows. The input is a CSV file of
texts made of the words of examples/reviews.csv; the model is the tiny encoder of examples/. Everything runs in a temporary
folder.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

ROOT = Path.cwd()
# Runs a stage and prints its peak of private memory (MiB) beyond that of its imports. Pages of mapped files are not counted: they
# belong to the system's file cache, which drops them when memory is needed.
MEASURED = """
import threading
import psutil
{imports}
def own():
    memory = psutil.Process().memory_info()
    return (memory.rss - getattr(memory, "shared", 0)) / 2**20
imported = peak = own()
ended = threading.Event()
def watch():
    global peak
    while not ended.wait(0.005):
        peak = max(peak, own())
watcher = threading.Thread(target=watch)
watcher.start()
try:
    {run}
finally:
    ended.set()
    watcher.join()
print("PEAK", round(peak - imported))
"""
FETCH = "from stages.fetch.stage import main", "main()"
PREPARE = "from stages.prepare.stage import main", "main()"
# a few steps are enough: all that grows with the rows is in memory before the first
TRAIN = (
    """
from stages.classifier.splits import load_labels, load_split, load_tokenizer
from stages.methods import lora
from stages.methods.method import build
from stages.project.parameters import load_params
from stages.training.run import make_trainer
""",
    """params, labels = load_params(), load_labels()
    trainer = make_trainer(params, build(lora, params, labels), load_tokenizer(), 1e-3, load_split("train"), "scratch")
    trainer.args.max_steps, trainer.args.eval_strategy = 20, "no"
    trainer.train()""",
)


def write_texts(path: Path, rows: int) -> None:
    """Write a CSV file of `rows` different texts of 5 to 40 words."""
    with (ROOT / "examples/reviews.csv").open(encoding="utf-8", newline="") as file:
        words = sorted({word for row in csv.DictReader(file) for word in row["text"].split()})
    generator = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for index in range(rows):
            chosen = generator.choice(words, generator.integers(5, 40))
            writer.writerow([f"{index} {' '.join(chosen)}", "positive" if generator.random() < 0.5 else "negative"])


def measured(imports: str, run: str, folder: Path) -> tuple[float, int]:
    """Execute `imports` and then `run` in `folder`; return the seconds of both, and the memory of `run` in MiB."""
    start = time.perf_counter()
    code = MEASURED.format(imports=imports, run=run)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, int(done.stdout.rsplit("PEAK", 1)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure time and memory of prepare and training by number of rows.")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    print(f"{'rows':>9}{'prepare s':>11}{'prepare MiB':>13}{'training MiB':>14}")
    for rows in parser.parse_args().rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copytree(ROOT / "examples", folder / "examples")
            write_texts(folder / "texts.csv", rows)
            params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
            params["data"]["source"] = "csv"
            params["data"]["csv"]["path"] = "texts.csv"
            params["model"]["source"] = "local"
            (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
            measured(*FETCH, folder)
            seconds, prepare_mib = measured(*PREPARE, folder)
            _, train_mib = measured(*TRAIN, folder)
        print(f"{rows:9}{seconds:11.1f}{prepare_mib:13}{train_mib:14}", flush=True)


if __name__ == "__main__":
    main()
