"""python -m stages.train_lora

Fine-tunes LoRA on the linear layers of models/base that peft.target names, and the head, on data/processed; writes
models/lora, its learning curve (plots/learning_curves/lora.csv) and a summary of the training (metrics/training/lora.json).
"""

from stages.project.running import loading, run_stage
from stages.training.launch import launch

if __name__ == "__main__":
    launch("train_lora")
    with loading():
        from stages.methods import lora
        from stages.training.run import train
    run_stage("train_lora", lambda: train(lora))
