"""python -m stages.prepare

Reads data/fetched and the tokenizer in models/base; cleans, splits and tokenizes the texts. Writes data/processed (one Arrow
file per split and transfer set, labels.json) and metrics/data.json (rows, dropped rows, token lengths; for the user's own
data also the share of the largest class).
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.prepare.stage import main
    run_stage("prepare", main)
