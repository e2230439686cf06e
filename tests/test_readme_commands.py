"""Commands of README run as they stand in a clone with finished results: those that read, and the comparison of two methods."""

import re

import pytest

from tests.commands import lines
from tests.imports import ROOT

README = ROOT / "README.md"
READS = r"dvc (metrics show|metrics diff$|plots|exp show|params diff)|python -m stages\.predict"
COMPARISON = [line for line in lines(README) if "report.method" in line or "headline" in line]
RESTORE = next(line for line in README.read_text().splitlines() if line.startswith("    git reset")).strip()


@pytest.mark.parametrize("line", sorted({line for line in lines(README) if re.match(READS, line) and "FILE" not in line}))
def test_a_command_that_reads_runs_as_it_stands(pipeline, line):
    assert pipeline.run("bash", "-c", line).strip() or line == "dvc metrics diff" or line == "dvc params diff"
    assert pipeline.run("git", "status", "--porcelain") == ""


def test_the_comparison_of_full_and_lora_runs_as_it_stands_and_trains_nothing(pipeline):
    assert len(COMPARISON) == 3
    try:
        *experiments, table = [pipeline.run("bash", "-c", line) for line in COMPARISON]
        for output in experiments:
            assert set(re.findall(r"Running stage '(\w+)'", output)) <= {"report"}
        assert re.split(r" {2,}", table.splitlines()[0]) == ["Path", "Metric", "full", "lora", "Change"]
        trainable = [pipeline.json(f"metrics/{method}.json")["trainable"] for method in ("full", "lora")]
        assert "size_mib" in table
        assert ["trainable", *map(str, trainable)] in [line.split()[1:4] for line in table.splitlines()]
    finally:
        pipeline.run("bash", "-c", RESTORE)
    assert pipeline.run("git", "status", "--porcelain") == ""  # README's way back
    pipeline.run("dvc", "exp", "remove", "full", "lora")
