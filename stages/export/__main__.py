"""python -m stages.export [--method lora] [--to exported]

Writes what the train stages left in models/ to folders that need nothing of this project: exported/full, exported/lora (the
update folded into plain weights) and exported/adapter (with its base model and its class, since it cannot be merged). Each
has a model card with scores, terms of use and the code that loads it. It is not a stage of dvc.yaml, and
does not run while one of them does.
"""

from stages.project.running import loading, run_stage

if __name__ == "__main__":
    with loading():
        from stages.export.stage import main
    run_stage("export", main)
