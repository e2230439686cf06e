"""python -m bench [--rounds N] [--only WORD]          make bench

Compares the speed of training and prediction with a plain `transformers.Trainer` and with the AdapterHub library, and prints what
share of the processor's matrix-product rate full training reaches, what AWP costs, and how long starts take. Every arm is a
separate process; they work one at a time, in turn, so that drift of the machine affects all alike. A ratio is the median of the
rounds' ratios, printed with the least and the greatest.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tqdm import tqdm

from stages.benchmark.protocol import rotated
from stages.project.schema import METHODS

OTHER_PYTHON = Path(".cache/adapterhub/bin/python")
ADAPTERHUB = "AdapterHub adapter"
FASTER = [  # examples per second, compared with a reference
    *((f"ours {method}", f"plain {method}") for method in METHODS),
    ("ours adapter", ADAPTERHUB),
    ("ours predict", "plain predict 32"),
    ("ours predict", "plain predict 128"),
]
AWP = [(f"ours {method} AWP", f"ours {method}") for method in METHODS]  # epochs with AWP in their second half
PRODUCTS = [("ours full GFLOP", "matrix products")]
# what a training imports, as stages/train_lora.py imports it
START = "from stages.project.running import loading\nwith loading():\n    from stages.training.run import train"
STARTS = {  # commands whose time is measured from outside
    "import transformers.Trainer": [sys.executable, "-c", "from transformers import Trainer"],
    "start of train_lora": [sys.executable, "-c", START],
    "dvc repro, nothing to do": [str(Path(sys.executable).with_name("dvc")), "repro", "--quiet"],
}

Rates = dict[str, list[float]]


class Arm:
    """A process that works when told to; see bench.protocol."""

    def __init__(self, name: str):
        ours = [sys.executable, "-m", "bench.arms", name]
        command = [str(OTHER_PYTHON), "-m", "bench.adapterhub"] if name == ADAPTERHUB else ours
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdin and self.process.stdout  # both are pipes
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self._read()

    def work(self) -> float:
        """Let the process work once; return units of work per second."""
        print(file=self.stdin, flush=True)
        answer = json.loads(self._read())
        return answer["units"] / answer["seconds"]

    def end(self) -> None:
        self.stdin.close()
        self.process.wait()

    def _read(self) -> str:
        line = self.stdout.readline()
        if not line:
            raise SystemExit(f"error: the arm {self.name!r} ended; to see why, run bench.arms or bench.adapterhub directly")
        return line


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the speed of training and prediction with the alternatives.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only the pairs whose names contain this word, and no starts")
    options = parser.parse_args()

    def wanted(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [pair for pair in pairs if options.only in " ".join(pair) and (ADAPTERHUB not in pair or OTHER_PYTHON.exists())]

    names = dict.fromkeys(name for pair in wanted(FASTER + AWP + PRODUCTS) for name in reversed(pair))
    rates = measure(list(names), options.rounds)
    print_table("examples per second", wanted(FASTER), rates)
    print_table("examples per second with AWP in half of the steps; 1 / ratio is the time, 1.5 by definition", wanted(AWP), rates)
    print_table("GFLOP per second, training counted as 6 x weights x tokens", wanted(PRODUCTS), rates)
    if not options.only:
        print_starts(options.rounds)


def measure(names: list[str], rounds: int) -> Rates:
    """Return units of work per second of each arm, one value per round, after a warm-up round."""
    arms = {name: Arm(name) for name in tqdm(names, desc="start", disable=None)}
    rates: Rates = {name: [] for name in names}
    with tqdm(total=(rounds + 1) * len(arms), desc="rounds", disable=None) as bar:
        for turn in range(rounds + 1):
            for name in rotated(names, turn):
                rate = arms[name].work()
                bar.update()
                if turn:
                    rates[name].append(rate)
    for arm in arms.values():
        arm.end()
    return rates


def print_table(title: str, pairs: list[tuple[str, str]], rates: Rates) -> None:
    """Print for each pair the median rates, and the median, least and greatest ratio."""
    if not pairs:
        return
    print(f"\n{title}\n{'':18}{'median':>9}  {'reference':20}{'median':>9}{'ratio':>8}   least .. greatest")
    for name, reference in pairs:
        ratios = [own / other for own, other in zip(rates[name], rates[reference], strict=True)]
        medians = statistics.median(rates[name]), statistics.median(rates[reference])
        print(
            f"{name:18}{medians[0]:9.1f}  {reference:20}{medians[1]:9.1f}{statistics.median(ratios):8.3f}"
            f"   {min(ratios):.3f} .. {max(ratios):.3f}"
        )


def print_starts(rounds: int) -> None:
    """Print the median seconds of each of `STARTS`."""
    seconds: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(rounds):
        for name, command in STARTS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    print("\nseconds, median of the rounds")
    for name, values in seconds.items():
        print(f"{name:30}{statistics.median(values):6.2f}")


if __name__ == "__main__":
    main()
