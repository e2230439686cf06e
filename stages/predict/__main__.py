"""python -m stages.predict --method lora "a wonderful film" "two hours of my life"

Classifies texts with a model that a training saved, and prints the class of each text and the probabilities of all classes,
in the order of the texts. Texts come from the command line, from --file (one per line, or with --text-column a column of a
table: CSV, TSV, JSON lines or Parquet), or from standard input (lines or CSV). --keep and --keep-all copy other columns to the
output. An empty text is refused with the number of its line. White space and accents are normalized as in training, and
printed as they came.

It reads models/{method}, for LoRA and the adapter also models/base, but neither params.yaml nor data. It is not a stage of
dvc.yaml: any number of predictions may run at the same time, also while a stage runs.
"""

if __name__ == "__main__":
    from stages.predict.stage import run

    run()
