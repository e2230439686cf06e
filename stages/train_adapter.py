"""python -m stages.train_adapter

Fine-tunes bottleneck adapters in every layer of models/base, where peft.adapter says, and the head, on data/processed; writes
models/adapter, its learning curve (plots/learning_curves/adapter.csv) and a summary of the training
(metrics/training/adapter.json).
"""

from stages.project.running import loading, run_stage
from stages.training.launch import launch

if __name__ == "__main__":
    launch("train_adapter")
    with loading():
        from stages.methods import adapter
        from stages.training.run import train
    run_stage("train_adapter", lambda: train(adapter))
