"""python -m stages.train_adapter

Fine-tunes a bottleneck adapter in every feed-forward block of models/base, and the head, on data/processed; writes
models/adapter, its learning curve (plots/learning_curves/adapter.csv) and what happened in training
(metrics/training/adapter.json).
"""

from stages.methods import adapter
from stages.running import run_stage
from stages.training.run import train


def main() -> None:
    train(adapter)


if __name__ == "__main__":
    run_stage(main)
