"""python -m experiments.on_gpu [memory] [steps] [latency] [training]

Measures on the first CUDA GPU what the pipeline measures on a CPU, and what only a GPU can show (all four parts if none is
named; ten minutes on a fast card). The report quotes the tables:

- memory: the peak of a training step for every row of the memory plan, under a cap of train.memory_budget_gib: does it fit?
- steps: the time of a training step by encoder, precision and method, plain and with AWP.
- latency: the time of a forward pass by encoder, precision, batch size and length.
- training: the pipeline's trainings in fp32, bf16 and fp16, and LoRA in nf4 where bitsandbytes is installed; their F1.

Writes metrics/gpu/{part}.csv and metrics/gpu/machine.json. Weights are random where only time and memory count; `training` needs
the outs of `prepare`. On another card the numbers differ; a part that is not named keeps its table, so measure all on one.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from experiments.on_gpu.measure import main
    run_stage("on_gpu", main)
