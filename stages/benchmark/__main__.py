"""python -m stages.benchmark

Measures what the trained methods cost: latency of one forward pass, throughput on the test set, time and memory of one
training step. Reads models/{base,full,lora,adapter}, metrics/training and data/processed, and writes files of two kinds.

metrics/memory.json contains what can be counted: predicted training memory, checkpoint bytes, agreement of merged and
unmerged LoRA. It is the same in every run, and is the output of this stage in dvc.yaml.

metrics/timing/{full,lora,lora_merged,adapter}.json, plots/latency.csv and plots/latency.png contain what the clock and the
operating system report, metrics/provenance/benchmark.json the machine and the conditions. They differ from run to run, so
they are not outputs of the stage: dvc.lock records the hash of every output, and theirs would never be the same again. No
file with a recorded hash is computed from them. A later stage that quotes them depends on metrics/memory.json and so runs
later. `dvc metrics show metrics/timing/*.json` prints them as a table. Where that file stays the same, DVC does not run that
stage, and this one says so.
"""

from pathlib import Path

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.benchmark.reminder import reminder
        from stages.benchmark.stage import main
        from stages.project.paths import METRICS

    def measure() -> None:
        with reminder(METRICS / "memory.json", Path("REPORT.md")):
            main()

    run_stage("benchmark", measure)
