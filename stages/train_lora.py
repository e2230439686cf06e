"""python -m stages.train_lora

Fine-tunes LoRA on the attention projections of models/base, and the head, on data/processed; writes models/lora,
its learning curve (plots/learning_curves/lora.csv) and what happened in training (metrics/training/lora.json).
"""

from stages.methods import lora
from stages.running import run_stage
from stages.training.run import train


def main() -> None:
    train(lora)


if __name__ == "__main__":
    run_stage(main)
