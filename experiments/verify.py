"""python -m experiments.verify [--full]

Shows that the results can be reproduced byte for byte in a different place: without --full those of the small examples (some
minutes), with --full the committed results themselves (as long as `dvc repro`).

The project is cloned to a different location, with a space in its path; files get different times, PYTHONHASHSEED a different
value, DVC's cache starts empty, and each training is killed (SIGKILL) after its first save point and resumed. Afterwards only
the files with timings may differ from the commit, and REPORT.md, rendered with the committed timings, must be the same.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from stages.project.errors import UserError
from stages.project.parameters import load_params
from stages.project.paths import DURATIONS, PARAMS, SAVE_POINTS, SCRATCH
from stages.project.schema import METHODS

TIMINGS = (
    *(f"metrics/timing/{arm}.json" for arm in ("full", "lora", "lora_merged", "adapter")),
    "metrics/provenance/benchmark.json",
    "plots/latency.csv",
    "plots/latency.png",
)
SMALL: dict[str, dict[str, object]] = {
    "data": {"source": "csv"},
    "model": {"source": "local"},
    "train": {"epochs": 3, "batch_size": 8, "micro_batch_size": 4},
    "peft": {"rank": 2, "bottleneck": 4},
    "evaluate": {"bootstrap_samples": 200},
    "benchmark": {"batch_sizes": [1, 2], "lengths": [8, 16], "repeats": 2, "warmup": 1},
    "plan": {"models": []},
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # tiny tensors gain nothing from more threads, and lose much on a busy machine


class Checkout:
    """A clone of the project in which commands run."""

    def __init__(self, source: Path, folder: Path, **environment: str):
        self.folder = folder
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": tools, "DVC_NO_ANALYTICS": "1", **environment}
        subprocess.run(["git", "clone", "--quiet", source, folder], check=True)
        if (source / SCRATCH / "downloads").is_dir():  # archives, whose hashes are checked wherever they come from
            shutil.copytree(source / SCRATCH / "downloads", folder / SCRATCH / "downloads")

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            raise UserError(f"{' '.join(command)} in {self.folder} ended with status {done.returncode}:\n{done.stdout}")
        return done.stdout

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=verify", "-c", "user.email=verify@example.org", "commit", "--quiet", "-m", message)

    def train_killed_once(self, method: str) -> None:
        """Train `method`, kill DVC and the stage (their process group) after the first save point, and resume."""
        point = self.folder / SAVE_POINTS / f"{method}.safetensors"
        command = ["dvc", "repro", "--force", "--single-item", f"train_{method}"]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, start_new_session=True, stdout=subprocess.DEVNULL
        )
        while not point.exists():
            if process.poll() is not None:
                raise UserError(f"train_{method} ended before its first save point; run `{' '.join(command)}` to see why")
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output = self.run("dvc", "repro", "--single-item", f"train_{method}")
        if "resuming from step" not in output:
            raise UserError(f"train_{method} was killed and did not resume from its save point:\n{output}")

    def differences(self) -> list[str]:
        """Return the paths that differ from the commit, apart from timings and what quotes them."""
        self.run("git", "checkout", "--", *TIMINGS)
        self.run(sys.executable, "-m", "stages.report")
        self.run("git", "checkout", "--", str(DURATIONS))  # of every stage, this one included
        return self.run("git", "status", "--porcelain").splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(description="Reproduce the results in a different place and compare them byte for byte.")
    parser.add_argument("--full", action="store_true", help="reproduce the committed results instead of the small examples")
    full = parser.parse_args().full
    root = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        reference = committed(root) if full else small_reference(root, Path(folder, "reference"))
        own = {} if full else {"SAVE_POINT_SECONDS": "0", **ONE_THREAD}
        again = Checkout(reference, Path(folder, "another place"), PYTHONHASHSEED="7", **own)
        remake(again)
        differences = again.differences()
    if differences:
        sys.exit("different bytes:\n" + "\n".join(differences))
    print("the same bytes: dvc.lock, all metrics, plots, reports and models; only timings differ")


def committed(root: Path) -> Path:
    """Return `root` if all its files are committed.

    Raises:
        UserError: there are uncommitted changes.
    """
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True).stdout
    if changed:
        raise UserError(
            f"the checkout has uncommitted changes ({', '.join(map(str.strip, changed.splitlines()))}); commit or stash them"
        )
    return root


def small_reference(root: Path, folder: Path) -> Path:
    """Run the pipeline of `root`, with its uncommitted changes, on the examples in `folder`, and commit the results there."""
    reference = Checkout(root, folder, PYTHONHASHSEED="3", **ONE_THREAD)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            shutil.copyfile(root / name, folder / name)
    params = load_params(root / PARAMS).model_dump()
    for section, values in SMALL.items():
        params[section].update(values)
    (folder / PARAMS).write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    reference.commit("small")
    print("reference: dvc repro on the examples", flush=True)
    reference.run("dvc", "repro")
    reference.commit("results")
    return folder


def remake(again: Checkout) -> None:
    """Run every stage again, with file times of long ago."""
    for path in again.folder.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (10**9, 10**9))
    print("again: fetch and prepare", flush=True)
    again.run("dvc", "repro", "--force", "--single-item", "fetch", "prepare")
    for method in METHODS:
        print(f"again: train_{method}, killed once", flush=True)
        again.train_killed_once(method)
    print("again: evaluate, benchmark, plan and report", flush=True)
    again.run("dvc", "repro", "--force", "--single-item", "evaluate", "benchmark", "plan", "plan_published", "report")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
