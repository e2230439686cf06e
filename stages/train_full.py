"""python -m stages.train_full

Fine-tunes all weights of models/base on data/processed; writes models/full,
its learning curve (plots/learning_curves/full.csv) and what happened in training (metrics/training/full.json).
"""

from stages.methods import full
from stages.running import run_stage
from stages.training.run import train


def main() -> None:
    train(full)


if __name__ == "__main__":
    run_stage(main)
