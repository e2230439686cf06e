"""What the report of the committed results refers to exists: its links, and the tests that its commands run."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.project.parameters import load_params
from stages.report.facts import load_facts
from stages.report.stage import render
from tests.imports import ROOT


@pytest.fixture
def report(monkeypatch) -> str:
    monkeypatch.chdir(ROOT)
    return render(load_facts(load_params()))


def test_every_link_of_the_report_exists(report):
    targets = set(re.findall(r"\]\(([^)]+)\)", report))
    assert len(targets) > 20
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_path_in_code_exists(report):
    paths = set(re.findall(r"`((?:stages|tests)/[^` ]+)`", report))
    assert paths and [path for path in paths if not (ROOT / path).exists()] == []


def test_every_pytest_command_selects_tests(report):
    commands = [shlex.split(command) for command in re.findall(r"`python -m pytest ([^`]+)`", report)]
    assert len(commands) == 5
    for path, *options in commands:
        names = list(collected(ROOT / path))
        words = options[1].split(" or ") if options else [""]
        assert options[:1] in ([], ["-k"])
        assert [word for word in words if not any(word in name for name in names)] == []


def collected(path: Path) -> Iterator[str]:
    """Names of the test functions in a file or in the files of a folder, each after that of its file, as -k sees them."""
    for file in [path] if path.is_file() else sorted(path.glob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield f"{file.name}::{node.name}"
