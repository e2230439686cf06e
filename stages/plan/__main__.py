"""python -m stages.plan

Answers what fits into train.memory_budget_gib: for this encoder and three published ones, each method, with and without AWP and
gradient checkpointing, the largest micro-batch and its predicted peak of training memory. Reads models/base and
data/processed/labels.json, trains nothing, writes metrics/memory_plan.csv.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.plan.table import main
    run_stage("plan", main)
