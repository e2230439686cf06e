"""What the reports refer to exists, and is what the pipeline declares."""

import re

import pytest
import yaml

from stages.report.stage import DOCUMENTS, render
from tests.imports import ROOT


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_exists_or_is_written_by_a_stage(facts, document):
    folder = (ROOT / DOCUMENTS[document]).parent
    targets = {(folder / target).resolve() for target in re.findall(r"\]\(([^)]+)\)", render(facts, *document))}
    assert len(targets) > 5
    assert [target for target in targets if not target.exists() and not written(target.relative_to(ROOT).as_posix())] == []


def written(path: str) -> bool:
    """Whether a stage writes the file: an out, a plot of the benchmark or the report itself, whose files are no outs."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    entries = [entry for stage in stages for kind in ("outs", "metrics", "plots") for entry in stage.get(kind) or []]
    outs = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    return path in outs | {"plots/latency.png", "plots/cost.png", "plots/cost.csv"} | {
        str(document) for document in DOCUMENTS.values()
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_and_command_in_code_exists(facts, document):
    text = render(facts, *document)
    paths = re.findall(r"`((?:stages|tests)/[^` ]+)`", text)
    modules = [name.replace(".", "/") + ".py" for name in re.findall(r"python -m ((?:experiments|stages)\.\w+)", text)]
    targets = re.findall(r"`make ([\w-]+)`", text)
    makefile = (ROOT / "Makefile").read_text()
    assert [path for path in [*paths, *modules] if not (ROOT / path).exists()] == []
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
