"""Where the stages write their files, relative to the project's folder, in which every stage runs."""

from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
SCRATCH = Path(".cache")  # ignored by git and DVC: downloads, save points, the lock
SAVE_POINTS = SCRATCH / "save_points"
RAW = Path("data/raw")
PROCESSED = Path("data/processed")
MODELS = Path("models")
BASE_MODEL = MODELS / "base"
METRICS = Path("metrics")
DETAILS = METRICS / "details"  # of evaluate: all that it knows of a method; metrics/{method}.json has the few numbers shown first
TRAINING_METRICS = METRICS / "training"
TIMING_METRICS = METRICS / "timing"  # what a clock measured: in git, in no hash of dvc.lock
PROVENANCE = METRICS / "provenance"
PLOTS = Path("plots")
LEARNING_CURVES = PLOTS / "learning_curves"
CONFUSION = PLOTS / "confusion"
REPORTS = Path("reports")

# inside the folder of a saved model
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"  # says which shard holds which tensor
