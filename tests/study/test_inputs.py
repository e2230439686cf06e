"""On what the cells depend."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stages.project.errors import UserError
from stages.project.packages import _imported
from study.cell import result
from study.definition import METHODS, find_cell, params_of
from study.inputs import CODE, INPUTS, NEUTRAL, PACKAGES, bare, code_hash, inputs_of, require_current
from study.inputs import main as write_inputs
from study.settings import load_study
from study.state import environment
from tests import imports
from tests.imports import ROOT
from tests.training.tiny import prepare, write_split

NOT_COMPARED = {"study/inputs.py", "study/paths.py", "study/settings.py", "study/timing.py"}  # see CODE


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The code, without data."""
    for name in ("stages", "peft_extras", "study"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".dvc"))
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", "requirements.txt"):
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
    assert imported - compared - NEUTRAL == NOT_COMPARED and not compared & NEUTRAL
    assert set(CODE) <= imported and compared <= imported


def test_a_cell_calls_nothing_of_the_code_that_is_not_compared_but_what_checks_and_counts(project):
    """What counts operations, what tells a number that is not finite from others, what joins processes, and what reads files."""
    prepare(project)
    write_split(project / "data/processed/test.arrow", 12, seed=3)
    study = load_study(ROOT / "study/params.yaml")
    names = ("conditions-full-both-1", "conditions-lora-both-1", "conditions-adapter-none-1", "dose_all-lora-0.01-1",
             "rates_head-both-0.1-101")  # fmt: skip
    some = [replace(find_cell(study, name), rows=None, epochs=1, transfer=False) for name in names]
    called: set[tuple[str, str]] = set()

    def note(frame, event, argument) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            called.add((path.relative_to(ROOT).as_posix(), frame.f_code.co_name))

    sys.setprofile(note)
    try:
        for cell in some:
            result(cell, params_of(cell, study, 1e-3), 13)
    finally:
        sys.setprofile(None)
    # a schema checks values, which are compared themselves
    neutral = NEUTRAL - {file for file in NEUTRAL if file.startswith("stages/project/schema/")}
    of_neutral = {(file.rpartition("/")[2], name) for file, name in called if file in neutral and not name.startswith("<")}
    assert ("sampler.py", "__iter__") in {(file.rpartition("/")[2], name) for file, name in called}
    assert of_neutral <= {
        *(("arithmetic.py", name) for name in ("__init__", "_count", "on_step_begin", "on_step_end", "stop")),
        ("divergence.py", "unusual"), *(("nodes.py", name) for name in ("join_others", "timeout_seconds")),
        *(("files.py", name) for name in ("read_json", "content_hash", "sha256_of", "replaced_file")),
    }  # fmt: skip


def test_a_method_is_stale_by_its_own_code_all_by_what_they_share(checkout):
    before = found()
    edit(checkout / "stages/methods/lora.py", 'NAME = "lora"', 'NAME = "lora"\nMORE = 1')
    assert stale(before) == ["lora"]
    edit(checkout / "stages/training/sampler.py", "POOL_BATCHES = 50", "POOL_BATCHES = 51")
    assert stale(before) == list(METHODS)


OTHER_CODE = ("stages/project/schema/fields.py", "stages/project/durations.py", "stages/training/results.py",
              "stages/report/study.py", "stages/evaluate/stage.py", "study/run.py", "study/summarize.py")  # fmt: skip


def test_code_on_which_no_number_depends_is_not_compared(checkout):
    before = found()
    for file in OTHER_CODE:
        (checkout / file).write_text((checkout / file).read_text() + "\nMORE = 1\n")
    assert found() == before  # a file that is compared would be seen by its name


def test_the_pins_of_what_computes_are_compared_and_no_others(checkout):
    before, path = found(), checkout / "requirements.txt"
    path.write_text(path.read_text().replace("jinja2==", "jinja2==9").replace("Jinja2==", "Jinja2==9") + "bitsandbytes==0.48.0\n")
    assert stale(before) == []
    torch = before["full"]["packages"]["torch"]
    edit(path, f"torch=={torch}", "torch==1.0")
    assert stale(before) == list(METHODS)
    edit(path, "torch==1.0", "")
    with pytest.raises(UserError, match="does not pin torch"):
        found()


def test_what_the_compared_code_imports_and_computes_is_among_the_pinned_packages(monkeypatch):
    monkeypatch.chdir(ROOT)
    code = [Path(file) for method in METHODS for file in inputs_of(method, load_study())["code"]]
    imported = set().union(*(_imported(file) for file in code))
    # locks, downloads that a cell does not make, and 4-bit layers, which no cell has
    assert imported - set(PACKAGES) <= {"filelock", "huggingface-hub", "bitsandbytes"}
    assert set(PACKAGES) - imported <= {"tokenizers"}  # which transformers calls


def test_the_variables_that_decide_rounding_do_not_reach_a_cell(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("SOMETHING", "else")
    given = environment()
    assert (
        given["SOMETHING"] == "else" and given["OMP_NUM_THREADS"] == "1" and not {"ONEDNN_MAX_CPU_ISA", "MKL_CBWR"} & set(given)
    )
    command = "import os, study.cell; print(sorted(set(os.environ) & {'ONEDNN_MAX_CPU_ISA', 'MKL_CBWR'}))"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_code_that_changed_while_the_study_runs_is_told_and_not_trained(checkout):
    write_inputs()
    require_current("lora", load_study())
    edit(checkout / "stages/methods/lora.py", 'NAME = "lora"', 'NAME = "lora"\nMORE = 1')
    with pytest.raises(UserError, match=r"lora\.json: stages/methods/lora\.py changed since it was written; the cell was not"):
        require_current("lora", load_study())
    require_current("adapter", load_study())
    (INPUTS / "adapter.json").unlink()
    with pytest.raises(UserError, match=r"adapter\.json: peft_extras/awp.* \.\.\. changed"):
        require_current("adapter", load_study())


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
    edit(checkout / "study/params.yaml", "epochs_factor: 6", "epochs_factor: 5")
    assert stale(before) == ["lora", "head"]
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
