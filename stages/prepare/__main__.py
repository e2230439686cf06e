"""python -m stages.prepare

Reads data/fetched and the tokenizer in models/base; cleans, splits and tokenizes the texts. Writes data/processed (one Arrow
file per split and transfer set, labels.json) and metrics/data.json (stages/prepare/statistics.py lists its keys). At the end it
says what is unusual about the data.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.prepare.stage import main
    run_stage("prepare", main)
