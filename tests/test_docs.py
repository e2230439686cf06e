"""README and docs: what they link to exists, what they tell you to type exists, and README stays short."""

import re
from pathlib import Path

import pytest

from stages.project.parameters import known_keys
from stages.project.schema import Params
from tests.imports import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "bench/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=page_id)  # it names what is gone
def test_commands_exist(page):
    text = page.read_text()
    code = "\n".join(inline or block for inline, block in re.findall(r"`([^`\n]+)`|^ {4}(.+)$", text, re.MULTILINE))
    modules = set(re.findall(r"python -m ([\w.]+)", code)) - {"pytest", "X"}
    for module in modules:
        base = ROOT / module.replace(".", "/")
        assert base.with_suffix(".py").is_file() or (base / "__main__.py").is_file(), module
    assert set(re.findall(r"(?:^|[\s`])make ([a-z-]+)", code)) <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_parameters_given_to_dvc_are_known(page):
    given = set(re.findall(r"-S '?([\w.]+)=", page.read_text()))
    assert given <= set(known_keys(Params))


def test_readme_is_short():
    """Words of prose: code blocks, tables, and the targets of links are not counted."""
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if not line.startswith(("    ", "|", "<!--"))]
    words = re.sub(r"\]\([^)]*\)", "]", " ".join(lines)).split()
    assert 600 <= len(words) <= 1000
