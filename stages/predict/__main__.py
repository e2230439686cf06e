"""python -m stages.predict --method lora "a wonderful film" "two hours of my life"

Classifies texts with a model that a train stage saved, and prints each text's class and the probabilities of all classes,
in the order of the texts. They come from the command line, from --file (one a line, or with --text-column a column of a CSV
file), or from standard input (one a line, or CSV with --text-column). An empty text is refused with the number of its line.
White space and accents are read as training read them, and printed as they came.

Reads models/{method}, for LoRA and the adapter also models/base; no params.yaml, no data. It is no stage of dvc.yaml, and
any number of them may run beside a stage.
"""

if __name__ == "__main__":
    from stages.predict.stage import run

    run()
