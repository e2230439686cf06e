"""python -m stages.evaluate

Reads the saved models, the test set and the transfer sets, predicts each set once per method, and writes the metric
files metrics/{full,lora,adapter}.json, the classification reports, the confusion matrices and the figures. No other
stage looks at the quality of a model on the test set.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.evaluate.stage import main
    run_stage("evaluate", main)
