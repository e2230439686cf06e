"""Where the quoted results come from: commits, machine, versions, and the hashes of data and base model."""

from stages.presentation.markdown import table as markdown_table
from stages.project.paths import MODELS, PROCESSED
from stages.project.schema import METHODS
from stages.report.facts import Facts

SHOWN_PACKAGES = ("torch", "transformers", "peft")


def table(facts: Facts) -> str:
    """One row per stage: the commit of its code and parameters, what was not committed, versions and machine."""
    rows = []
    for stage, record in facts.provenance.items():
        inputs = record["inputs"]
        versions = ", ".join(f"{name} {inputs[f'package {name}']}" for name in SHOWN_PACKAGES)
        device = inputs["machine cpu"] if inputs["machine device"] == "cpu" else inputs["machine device"]
        commit = (record["revision"] or "no git")[:12]
        rows.append((stage, commit, _uncommitted(record), versions, f"{device}, {inputs['machine threads']} threads"))
    return markdown_table(("stage", "commit", "not committed", "versions", "machine"), rows)


def _uncommitted(record: dict) -> str:
    if record["uncommitted"] is None:
        return "unknown"
    return ", ".join(record["uncommitted"]) or "nothing"


def hashes(facts: Facts) -> str:
    """SHA-256 of what the trainings read: one row per file if all read the same, otherwise one per value."""
    rows = []
    for path in (f"{PROCESSED}/train.arrow", f"{PROCESSED}/validation.arrow", f"{MODELS}/base"):
        found = {facts.provenance[f"train_{method}"]["inputs"][path] for method in METHODS}
        rows += [(path, f"`{value}`") for value in sorted(found)]
    return markdown_table(("read by the trainings", "SHA-256"), rows)


def mismatches(facts: Facts) -> list[str]:
    """Sentences about records that do not belong to the results: DVC's cache restores results, but not records."""
    evaluated = facts.provenance["evaluate"]
    found = []
    for method in METHODS:
        trained = facts.provenance[f"train_{method}"]
        path = f"{MODELS}/{method}"
        if trained["outputs"].get(path) != evaluated["inputs"].get(path):
            found.append(f"The record of train_{method} belongs to different weights from those that were evaluated.")
        if trained["inputs"].get(f"{MODELS}/base") != evaluated["inputs"].get(f"{MODELS}/base"):
            found.append(f"The record of train_{method} belongs to a different base model from the one that was evaluated.")
    machines = {value for record in facts.provenance.values() for key, value in record["inputs"].items() if key == "machine cpu"}
    if len(machines) > 1:
        found.append(f"The stages ran on different processors: {', '.join(sorted(machines))}.")
    return found
