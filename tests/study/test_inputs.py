"""On what the cells depend."""

import shutil

import pytest

from stages.project.errors import UserError
from study.definition import METHODS
from study.inputs import CODE, bare, code_hash, inputs_of
from study.settings import load_study
from tests import imports
from tests.imports import ROOT

NOT_COMPARED = {"study/paths.py", "study/settings.py", "study/timing.py"}  # see CODE


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The code, without data."""
    for name in ("stages", "peft_extras", "study"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".dvc"))
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found() -> dict[str, dict]:
    return {method: inputs_of(method, load_study()) for method in METHODS}


def stale(before: dict) -> list[str]:
    after = found()
    return [method for method in METHODS if after[method] != before[method]]


def edit(path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_all_code_that_a_cell_imports_is_compared(monkeypatch):
    monkeypatch.setattr(imports, "PACKAGES", ("stages", "peft_extras", "study"))
    monkeypatch.chdir(ROOT)
    imported = imports.import_closure("study.cell")
    compared = set().union(*(inputs_of(method, load_study())["code"] for method in METHODS))
    assert imported - compared == NOT_COMPARED
    assert set(CODE) <= imported


def test_a_method_is_stale_by_its_own_code_all_by_what_they_share(checkout):
    before = found()
    edit(checkout / "stages/methods/lora.py", 'NAME = "lora"', 'NAME = "lora"\nMORE = 1')
    assert stale(before) == ["lora"]
    edit(checkout / "stages/training/sampler.py", "POOL_BATCHES = 50", "POOL_BATCHES = 51")
    assert stale(before) == list(METHODS)


def test_words_beside_the_code_change_nothing(checkout):
    before = found()
    edit(checkout / "stages/training/sampler.py", "# A pool is sorted", "# Each pool is sorted")
    edit(checkout / "stages/training/sampler.py", '"""The order in which', '"""In which order')
    assert stale(before) == []


def test_parameters_of_the_comparison_change_nothing_and_those_of_the_study_their_methods(checkout):
    before = found()
    edit(checkout / "params.yaml", "rank: 8 ", "rank: 4 ")
    edit(checkout / "params.yaml", "batch_size: 32 ", "batch_size: 64 ")
    assert stale(before) == []
    edit(checkout / "study/params.yaml", "    rank: 8", "    rank: 4")
    assert stale(before) == ["lora"]
    edit(checkout / "study/params.yaml", "weight_decay: 0.01", "weight_decay: 0.1")
    assert stale(before) == list(METHODS)


def test_the_data_need_not_be_there_and_other_data_make_all_stale(checkout):
    before = found()
    assert not (checkout / "data").exists()
    lock = checkout / "dvc.lock"
    lock.write_text(lock.read_text().replace(before["full"]["data"]["data/processed"], "0" * 32 + ".dir"))
    assert stale(before) == list(METHODS)
    lock.write_text("stages: {}\n")
    with pytest.raises(UserError, match="run dvc repro prepare first"):
        found()


def test_bare_code_has_no_comments_docstrings_or_blank_lines(tmp_path):
    source = '"""Doc.\n\nMore.\n"""\n\nx = "# no comment"  # a comment\n\n\ndef f():\n    """Says."""\n    return f"{x} # none"\n'
    assert bare(source) == 'x = "# no comment"\ndef f():\n    return f"{x} # none"'
    (tmp_path / "a.py").write_text(source)
    (tmp_path / "b.py").write_text(source.replace("a comment", "another").replace("Says.", "Tells."))
    assert code_hash(tmp_path / "a.py") == code_hash(tmp_path / "b.py")
