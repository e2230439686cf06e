"""python -m stages.report

Reads the metric files of all stages and writes REPORT.md and metrics/headline.json, the metrics of the method that
`report.method` names.

metrics/benchmark.json and plots/latency.csv contain timings, which differ from run to run, and metrics/provenance names the
machine and versions. They are not declared as outputs in dvc.yaml, and neither is REPORT.md, which quotes them.
metrics/headline.json contains none of them.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.report.stage import main
    run_stage("report", main)
