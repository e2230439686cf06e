"""python -m bench [--rounds N] [--only WORD]          make bench

Prints how fast training and prediction are beside a plain `transformers.Trainer` and beside the AdapterHub library, what AWP
costs, and what a stage's start and a pipeline with nothing to do take. Every arm is a process of its own; they work in turn,
one at a time, so that a drift of the machine meets all alike. A ratio is the median over the rounds of one round's ratio.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from tqdm import tqdm

OTHER = Path(".cache/adapterhub/bin/python")
ADAPTERHUB = "AdapterHub adapter"
# what is compared, with which reference; a ratio above 1 says that it is faster
PAIRS = [
    *((f"ours {method}", f"plain {method}") for method in ("full", "lora", "adapter")),
    ("ours adapter", ADAPTERHUB),
    ("ours predict", "plain predict 32"),
    ("ours predict", "plain predict 128"),
    *((f"ours {method} AWP", f"ours {method}") for method in ("full", "lora", "adapter")),
]


class Arm:
    """A process that works when told to, see bench.protocol."""

    def __init__(self, name: str):
        command = [OTHER, "-m", "bench.adapterhub"] if name == ADAPTERHUB else [sys.executable, "-m", "bench.arms", name]
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._read()

    def work(self) -> float:
        """Let it work once; return examples per second."""
        print(file=self.process.stdin, flush=True)
        answer = json.loads(self._read())
        return answer["examples"] / answer["seconds"]

    def _read(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"error: the arm {self.name!r} ended; run its module, bench.arms or bench.adapterhub, to see why")
        return line

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the speed of training and prediction, side by side.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only the pairs with this word")
    options = parser.parse_args()
    pairs = [pair for pair in PAIRS if options.only in " ".join(pair) and (ADAPTERHUB not in pair or OTHER.exists())]
    names = list(dict.fromkeys(name for pair in pairs for name in reversed(pair)))
    print_table(pairs, measure(names, options.rounds))


def measure(names: list[str], rounds: int) -> dict[str, list[float]]:
    """Return examples per second of each arm, one value a round; a first round warms up and is not counted."""
    arms = [Arm(name) for name in tqdm(names, desc="start", disable=None)]
    rates: dict[str, list[float]] = {name: [] for name in names}
    with tqdm(total=(rounds + 1) * len(arms), desc="rounds", disable=None) as bar:
        for turn in range(rounds + 1):
            for index in range(len(arms)):
                arm = arms[(index + turn) % len(arms)]
                rate = arm.work()
                bar.update()
                if turn:
                    rates[arm.name].append(rate)
    for arm in arms:
        arm.end()
    return rates


def print_table(pairs: list[tuple[str, str]], rates: dict[str, list[float]]) -> None:
    """Print median rates and the median, least and greatest ratio of each pair."""
    print(f"{'':18}{'examples/s':>11}  {'reference':20}{'examples/s':>11}{'ratio':>8}   least .. greatest")
    for name, reference in pairs:
        ratios = [own / other for own, other in zip(rates[name], rates[reference], strict=True)]
        medians = statistics.median(rates[name]), statistics.median(rates[reference])
        print(
            f"{name:18}{medians[0]:11.1f}  {reference:20}{medians[1]:11.1f}{statistics.median(ratios):8.3f}"
            f"   {min(ratios):.3f} .. {max(ratios):.3f}"
        )


if __name__ == "__main__":
    main()
