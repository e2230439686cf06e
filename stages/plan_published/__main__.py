"""python -m stages.plan_published

Finds what fits into train.memory_budget_gib for the published encoders that plan.models names, with each method, in float32, in
bf16 and beside frozen weights in bf16, with and without gradient checkpointing, and in this run's precision with AWP too: the
largest micro-batch and its predicted peak training memory. No weights are needed and nothing is trained. Writes
metrics/published_memory_plan.csv, which is committed.

It does not depend on your data, your encoder, or `peft`: the table is for two classes, LoRA of rank 8 and an adapter of
bottleneck 64. It runs again only when plan.models, data.max_length, train.batch_size, train.memory_budget_gib,
train.acceleration, train.precision, train.frozen_dtype or its code changes, and then takes about a minute.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.plan_published.stage import main
    run_stage("plan_published", main)
