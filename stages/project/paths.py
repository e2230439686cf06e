"""Where the stages write their files, relative to the project's folder, in which every stage runs."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
SCRATCH = Path(".cache")  # ignored by git and DVC: downloads, save points, the lock
SAVE_POINTS = SCRATCH / "save_points"
RAW = Path("data/fetched")  # not data/raw, where many people keep their own tables: DVC deletes outs
PROCESSED = Path("data/processed")
MODELS = Path("models")
BASE_MODEL = MODELS / "base"
METRICS = Path("metrics")
DETAILS = METRICS / "details"  # of evaluate: all that it knows of a method; metrics/{method}.json has the few numbers shown first
TRAINING_METRICS = METRICS / "training"
TIMING_METRICS = METRICS / "timing"  # what a clock measured: in git, in no hash of dvc.lock
PROVENANCE = METRICS / "provenance"
STUDY_SUMMARY = METRICS / "study/summary.json"  # of `python -m study.summarize`; a clone may have none
DURATIONS = METRICS / "durations.json"  # what each stage took, measured with a clock
PLOTS = Path("plots")
LEARNING_CURVES = PLOTS / "learning_curves"
CONFUSION = PLOTS / "confusion"
REPORTS = Path("reports")

# inside the folder of a saved model
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"  # says which shard holds which tensor


def queued_from() -> Path | None:
    """Return the checkout whose experiment runs here, if this is a folder below .dvc/tmp/exps, which DVC deletes; else None."""
    exps = next((folder for folder in Path.cwd().parents if folder.parts[-3:] == (".dvc", "tmp", "exps")), None)
    return exps.parents[2] if exps else None
