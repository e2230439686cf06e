"""Where the quoted results come from: commits, machine, versions, and the hashes of data and base model."""

from stages.presentation.markdown import plain
from stages.presentation.markdown import table as markdown_table
from stages.project.paths import MODELS, PROCESSED
from stages.project.revision import COMPLETE, NOT_RECORDED, UNKNOWN
from stages.project.schema import METHODS
from stages.report.facts import Facts
from stages.report.language import Language

NO_COMMIT = {"another_user": "dubious ownership", "no_git": "no git repository", "nothing_committed": "no commit yet"}
SHOWN_PACKAGES = ("torch", "transformers", "peft")


def table(facts: Facts, words: Language) -> str:
    """One row per stage: the commit of its code and parameters, what was not committed, versions and machine."""
    rows = []
    for stage, record in facts.provenance.items():
        inputs = record["inputs"]
        versions = ", ".join(f"{name} {inputs[f'package {name}']}" for name in SHOWN_PACKAGES)
        rows.append((stage, _commit(record, words), _uncommitted(record, words), versions, _machine(inputs, words)))
    return markdown_table(words.header("origins"), rows)


def _machine(inputs: dict[str, str], words: Language) -> str:
    if inputs["machine threads"] == UNKNOWN:
        return words.say("origins.unknown")
    device = inputs["machine cpu"] if inputs["machine device"] == "cpu" else inputs["machine device"]
    return words.say("origins.machine", device=device, threads=words.counted("threads", int(inputs["machine threads"])))


def _commit(record: dict, words: Language) -> str:
    """The commit of a stage's code, and what git cannot tell about it."""
    history = record.get("history", COMPLETE)
    if record["revision"]:
        commit = record["revision"][:12]
        return commit if history == COMPLETE else words.say("origins.shallow", commit=commit)
    reason = next((name for name, part in NO_COMMIT.items() if part in history), "unknown")
    return words.say(f"origins.{reason}")


def _uncommitted(record: dict, words: Language) -> str:
    if record["uncommitted"] is None:
        return words.say("origins.unknown")
    return ", ".join(record["uncommitted"]) or words.say("origins.nothing")


def hashes(facts: Facts, words: Language) -> str:
    """SHA-256 of what was read: the files of the data source, then those of the trainings, one row per value."""
    rows = [(plain(file["path"]), f"`{file['sha256']}`") for file in facts.data["source"]["files"]]
    for path in (f"{PROCESSED}/train.arrow", f"{PROCESSED}/validation.arrow", f"{MODELS}/base"):
        found = {facts.provenance[f"train_{method}"]["inputs"][path] for method in METHODS}
        rows += [(path, f"`{value}`") for value in sorted(found)]
    return markdown_table(words.header("hashes"), rows)


def data_parameters(facts: Facts, words: Language) -> str:
    """The parameters that decided which rows and columns of the source were used."""
    values = facts.data["source"]["parameters"]
    return ", ".join(f"`{name}` {'null' if value is None else plain(value)}" for name, value in values.items())


def mismatches(facts: Facts, words: Language) -> str:
    """Bullets about records that do not belong to the results: DVC's cache restores results, but not records."""
    return "\n".join(f"- {found}" for found in _mismatches(facts, words))


def verdict(facts: Facts, words: Language) -> str:
    """The mismatches, or that there are none."""
    return mismatches(facts, words) or words.say("origins.match")


def _mismatches(facts: Facts, words: Language) -> list[str]:
    evaluated = facts.provenance["evaluate"]
    found = []
    for method in METHODS:
        trained = facts.provenance[f"train_{method}"]
        path = f"{MODELS}/{method}"
        if trained.get("history") == NOT_RECORDED:  # DVC brought the model, of which nothing else is known
            found.append(words.say("origins.no_record", method=method))
            continue
        if trained["outputs"].get(path) != evaluated["inputs"].get(path):
            found.append(words.say("origins.other_weights", method=method))
        if trained["inputs"].get(f"{MODELS}/base") != evaluated["inputs"].get(f"{MODELS}/base"):
            found.append(words.say("origins.other_base", method=method))
    machines = {value for record in facts.provenance.values() for key, value in record["inputs"].items() if key == "machine cpu"}
    machines.discard(UNKNOWN)
    if len(machines) > 1:
        found.append(words.say("origins.processors", machines=", ".join(sorted(machines))))
    return found
