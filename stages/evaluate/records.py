"""Which record belongs to a model: DVC's run cache brings back the outputs of an earlier training, but not its record.

So every record is also kept in .cache/records, and `evaluate`, which runs whenever a model
changed, puts the right ones into metrics/provenance.
"""

from pathlib import Path

from stages.project.files import content_hash, read_json, write_json
from stages.project.paths import PROVENANCE
from stages.project.provenance import kept_records, stage_inputs
from stages.project.revision import NOT_RECORDED, UNKNOWN
from stages.project.schema import Params

WHERE = ("package ", "machine ", "environment ", "requirements.txt")  # the inputs that DVC does not compare


def restore_record(stage: str, params: Params, output: Path) -> None:
    """Make metrics/provenance/{stage}.json a record of `output` as it is now.

    It is left alone if it is one. Otherwise a kept record of the same bytes is taken, by preference one with the same
    parameters and files read. If there is none, the new record says so, and nothing of the old one remains.
    """
    path, made = PROVENANCE / f"{stage}.json", content_hash(output)
    candidates = [path, *sorted(kept_records(stage).glob("*.json"))]
    records = [record for record in map(_read, candidates) if record.get("outputs", {}).get(output.as_posix()) == made]
    inputs = stage_inputs(stage, params)
    same = [record for record in records if _compared(record["inputs"]) == _compared(inputs)]
    unknown = {
        "revision": None,
        "history": NOT_RECORDED,
        "uncommitted": None,
        "inputs": dict.fromkeys(inputs, UNKNOWN),
        "outputs": {output.as_posix(): made},
    }
    record = (same or records or [unknown])[0]
    if record != _read(path):
        write_json(path, record)


def _read(path: Path) -> dict:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _compared(inputs: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in inputs.items() if not name.startswith(WHERE)}
