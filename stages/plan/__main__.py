"""python -m stages.plan

Finds what fits into train.memory_budget_gib: for this encoder and three published ones, and each method with and without AWP
and gradient checkpointing, the largest micro-batch and its predicted peak training memory. Reads models/base and
data/processed/labels.json, trains nothing, and writes metrics/memory_plan.csv.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.plan.table import main
    run_stage("plan", main)
