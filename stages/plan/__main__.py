"""python -m stages.plan

Finds what fits into train.memory_budget_gib: for the encoder in models/base and each method, in float32, in bf16 and beside
frozen weights in bf16, with and without gradient checkpointing, and in this run's precision with AWP too, the largest
micro-batch and its predicted peak training memory. Reads models/base and the number of classes in metrics/data.json, trains
nothing, and writes metrics/memory_plan.csv.

Published encoders have a table and a stage of their own, see `python -m stages.plan_published`.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.plan.stage import main
    run_stage("plan", main)
