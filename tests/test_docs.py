"""README and docs: links lead somewhere, commands are accepted as they stand, and README stays short."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.cli import parse_args
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from stages.project.parameters import known_keys, load_params
from stages.project.schema import Params
from tests.commands import commands, overrides, words
from tests.imports import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "bench/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names what is gone


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def of_program(program: str) -> list[list[str]]:
    """The commands of `program` on all pages, each once."""
    return sorted({tuple(command) for page in CURRENT for command in commands(page) if command[0] == program}, key=str)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_commands_are_found_and_split_as_a_shell_does():
    assert ["dvc", "repro"] in commands(ROOT / "README.md")
    assert words("""A=1 dvc exp run -S 'a="b c"' && cat x | make y  # why""") == [
        ["dvc", "exp", "run", "-S", 'a="b c"'],
        ["cat", "x"],
        ["make", "y"],
    ]


@pytest.mark.parametrize("command", of_program("dvc"), ids=" ".join)
def test_dvc_accepts_every_command(command):
    """The command line is read by DVC's own parser, which ends the test for an option that it does not know."""
    assert parse_args(list(command[1:])).func


@pytest.mark.parametrize("command", [command for command in of_program("dvc") if overrides(command)], ids=" ".join)
def test_dvc_can_set_every_parameter_as_it_is_written(command, tmp_path):
    """The values pass DVC's grammar, for each point of a sweep, and what params.yaml then says is accepted."""
    for number, point in enumerate(get_hydra_sweeps({"params.yaml": overrides(command)})):
        params = Path(shutil.copy(ROOT / "params.yaml", tmp_path / f"{number}.yaml"))
        apply_overrides(params, point["params.yaml"])
        assert load_params(params)


@pytest.mark.parametrize("command", of_program("make"), ids=" ".join)
def test_make_knows_every_target(command):
    subprocess.run([*command, "--dry-run"], cwd=ROOT, check=True, capture_output=True)


class Parsed(BaseException):
    """The command line was accepted; nothing is run."""


@pytest.mark.parametrize("command", of_program("python"), ids=" ".join)
def test_every_module_is_there_and_takes_these_arguments(command, monkeypatch):
    module, arguments = command[2], list(command[3:])
    if module == "pytest":
        return  # the next test
    base = ROOT / module.replace(".", "/")
    assert base.with_suffix(".py").is_file() or (base / "__main__.py").is_file(), module
    if arguments:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        for way in ("parse_args", "parse_intermixed_args"):
            monkeypatch.setattr(f"argparse.ArgumentParser.{way}", accept_only)
        with pytest.raises(Parsed):
            runpy.run_module(module, run_name="__main__", alter_sys=False)


def accept_only(parser, arguments=None, namespace=None):
    """In place of parse_args: refuses what the parser refuses, with status 2, and ends before anything is done."""
    if parser.parse_known_intermixed_args(arguments, namespace)[1]:
        raise SystemExit(2)
    raise Parsed


@pytest.mark.parametrize("command", [command for command in of_program("python") if command[2] == "pytest"], ids=" ".join)
def test_the_tests_that_are_named_exist(command):
    paths = [ROOT / word for word in command[3:] if word.startswith("tests")] or [ROOT / "tests"]
    assert [path for path in paths if not path.exists()] == []
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("test_*.py"))]
    names = " ".join(re.findall(r"def (test_\w+)", "".join(file.read_text() for file in files)))
    wanted = command[command.index("-k") + 1] if "-k" in command else ""
    assert [word for word in re.findall(r"\w+", wanted) if word not in ("and", "or", "not") and word not in names] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_parameters_given_to_dvc_are_known(page):
    given = set(re.findall(r"-S '?([\w.]+)=", page.read_text()))
    assert given <= set(known_keys(Params))


def test_readme_is_short():
    """Words of prose: code blocks, tables, and the targets of links are not counted."""
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if not line.startswith(("    ", "|", "<!--"))]
    found = re.sub(r"\]\([^)]*\)", "]", " ".join(lines)).split()
    assert 600 <= len(found) <= 1000


@pytest.mark.parametrize("page", CURRENT, ids=page_id)
def test_sections_of_the_reports_that_are_named_exist(page):
    templates = {"REPORT.md": "report.en.md.j2", "reports/details.md": "details.en.md.j2"}
    for report, heading in re.findall(r'(REPORT\.md|reports/details\.md), section\s+"([^"]+)"', page.read_text()):
        text = (ROOT / "stages/report/templates" / templates[report]).read_text()
        assert re.search(rf"^## (\d+\. )?{re.escape(heading)}$", text, re.MULTILINE), heading
    assert re.findall(r"sections? \d", page.read_text()) == []  # numbers move
