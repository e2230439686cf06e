"""Where the rows come from: the files that were read, with their hashes, and the parameters that decided."""

from typing import Any

from stages.prepare.user_files import user_files
from stages.project.files import sha256_of
from stages.project.parameters import leaf_values
from stages.project.paths import RAW
from stages.project.schema import Params


def describe_source(params: Params) -> dict[str, Any]:
    """Return `source`, `path`, `files` and `parameters` for metrics/data.json, see statistics.py."""
    data = params.data
    paths = {"package": None, "csv": data.csv.path, "hub": f"{data.hub.name}@{data.hub.revision}"}
    others = tuple(f"data.{source}." for source in paths if source != data.source)
    values = {"seed": params.seed, **leaf_values(data.model_dump(), "data.")}
    if data.source == "csv":  # what is read are copies, byte for byte
        files = [(name, path) for path, name in user_files(RAW, data.csv).values()]
    else:
        files = [(path.as_posix(), path) for path in sorted(RAW.rglob("*")) if path.is_file()]
    return {
        "source": data.source,
        "path": paths[data.source],
        "files": [{"path": name, "sha256": sha256_of(path)} for name, path in files],
        "parameters": {key: value for key, value in values.items() if not key.startswith(others)},
    }
