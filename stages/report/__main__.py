"""python -m stages.report

Reads the metric files of all stages and writes REPORT.md, the same in Spanish (INFORME.md), what is too long for both
(reports/details.md, reports/detalles.md), quality against measured cost (plots/cost.csv, plots/cost.png), and
metrics/headline.json, the metrics of the method that `report.method` names.

The reports quote timings, which differ from run to run, and metrics/provenance, which names the machine and versions. So they are
no declared outputs in dvc.yaml, and neither are the files with timings that they are computed from. metrics/headline.json
contains none of them.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.report.stage import main
    run_stage("report", main)
