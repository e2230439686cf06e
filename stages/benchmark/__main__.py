"""python -m stages.benchmark

Measures what the trained methods cost: latency of one forward pass, throughput on the test set, time and memory of one
training step. Reads models/{base,full,lora,adapter}, metrics/training and data/processed, writes four files of two kinds.

metrics/memory.json holds what can be counted: predicted training memory, checkpoint bytes, agreement of merged with
unmerged LoRA. It comes out the same on every run and is this stage's output in dvc.yaml.

metrics/benchmark.json, plots/latency.csv and plots/latency.png hold what a clock or the operating system said. They differ
from run to run, so they are no outputs of the stage: the hash of an output stands in dvc.lock, and it would never again be
the same. They are listed at the top level of dvc.yaml, where `dvc metrics` and `dvc plots` find them. Nothing with a hash is
computed from them, and a later stage that quotes them depends on metrics/memory.json, which orders the two.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.benchmark.stage import main
    run_stage("benchmark", main)
