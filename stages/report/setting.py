"""A short value that identifies the parameters of a training, by which an earlier table is known to belong to a run or not."""

import hashlib
import json

from stages.project.parameters import leaf_values
from stages.project.schema import Params

# these change how a training is computed, and so its rounding, but not what is computed
HOW = (
    "train.launcher",
    "train.memory_budget_gib",
    "train.micro_batch_size",
    "train.gradient_checkpointing",
    "train.acceleration",
    "train.eval_batch_size",
)
TUNED = ("train.learning_rate", "train.epochs", "train.patience")  # what the search for learning rates sets itself
REGULARIZERS = ("awp", "mixout")  # what the ablation switches off
# younger than the oldest tables: with these values a training does what it did before there was such a parameter
AS_BEFORE = {
    "train.precision": "fp32",
    "train.frozen_dtype": "same",
    "peft.target": "attention",
    "peft.use_rslora": False,
    "peft.use_dora": False,
    "peft.init": "default",
    "peft.adapter": "pfeiffer",
    "awp.target": "trainable",
    "awp.embeddings": "tensor",
    "awp.box": None,
}


def setting(params: Params, without: tuple[str, ...] = ()) -> str:
    """Return 12 hexadecimal digits of a SHA-256 over every parameter that decides the outcome of a training.

    Of the blocks for data sources and model sources, only the one in use counts, and no parameter that has no effect or one of
    the values `AS_BEFORE`.

    Args:
        without: dotted names of parameters or blocks to leave out.
    """
    content = params.model_dump()
    chosen = {key: content[key] for key in ("seed", "data", "model", "train", "peft", "awp", "mixout")}
    for block in ("data", "model"):
        others = {"csv", "hub", "local"} - {chosen[block]["source"]}
        chosen[block] = {key: value for key, value in chosen[block].items() if key not in others}
    if chosen["data"]["rare_classes"] == "error":  # then it refuses rows or lets them all pass
        del chosen["data"]["rare_classes"], chosen["data"]["rare_class_min"]
    if chosen["peft"]["adapter"] != "parallel":
        del chosen["peft"]["scaling"]
    if chosen["awp"]["box"] is None:
        del chosen["awp"]["step"]
    leaves = {
        place: value
        for place, value in leaf_values(chosen).items()
        if not _is_below(place, HOW + without) and not (place in AS_BEFORE and value == AS_BEFORE[place])
    }
    return hashlib.sha256(json.dumps(leaves, sort_keys=True).encode()).hexdigest()[:12]


def _is_below(place: str, names: tuple[str, ...]) -> bool:
    return any(place == name or place.startswith(f"{name}.") for name in names)
