"""python -m stages.plan

Finds what fits into train.memory_budget_gib: for the encoder in models/base, and each method with and without AWP and gradient
checkpointing, the largest micro-batch and its predicted peak training memory. Reads models/base and the number of classes in
metrics/data.json, trains nothing, and writes metrics/memory_plan.csv.

Published encoders have a table and a stage of their own, see `python -m stages.plan_published`.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.plan.stage import main
    run_stage("plan", main)
