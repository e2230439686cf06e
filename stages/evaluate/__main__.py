"""python -m stages.evaluate

Reads the saved models, the test set and the transfer sets, predicts each set once per method, and writes the metric
files metrics/{full,lora,adapter}.json, the classification reports, the confusion matrices and the figures. This is the
only place where the quality of a model on the test set is looked at.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.evaluate.stage import main
    run_stage("evaluate", main)
