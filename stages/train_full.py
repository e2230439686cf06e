"""python -m stages.train_full

Fine-tunes all weights of models/base on data/processed; writes models/full, its learning curve
(plots/learning_curves/full.csv) and a summary of the training (metrics/training/full.json).
"""

from stages.project.running import loading, run_stage
from stages.training.launch import launch

if __name__ == "__main__":
    launch("train_full")
    with loading():
        from stages.methods import full
        from stages.training.run import train
    run_stage("train_full", lambda: train(full))
