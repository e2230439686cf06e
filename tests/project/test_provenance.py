"""The record of where results come from: the commit of what matters, and hashes of everything read and made."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import torch

from stages.project import packages
from stages.project import provenance as records
from stages.project.errors import UserError
from stages.project.files import content_hash
from stages.project.parameters import known_keys, load_params
from stages.project.provenance import parameter_keys, provenance, stage_inputs, write_provenance
from stages.project.schema import Params
from tests.training.tiny import prepare, write_params


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(project, params):
    """A committed project; returns its first commit."""
    prepare(project)
    (project / "stages").unlink()
    (project / "stages/training").mkdir(parents=True)
    (project / "stages/training/run.py").write_text("")
    write_params(project, params)
    (project / ".gitignore").write_text("models\ndata\n")
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "-m", "code")
    return git("rev-parse", "HEAD")


def test_the_commit_is_the_last_one_that_changed_what_the_stage_uses(repository, project):
    params = load_params()
    record = provenance("train_lora", params)
    assert (record["revision"], record["uncommitted"]) == (repository, [])

    (project / "REPORT.md").write_text("results")
    (project / "stages/report").mkdir()
    (project / "stages/report/stage.py").write_text("another stage's code")
    git("add", "--all")
    git("commit", "--quiet", "-m", "results")
    assert provenance("train_lora", params) == record

    (project / "stages/training/run.py").write_text("changed")
    assert provenance("train_lora", params)["uncommitted"] == ["stages/training/run.py"]
    git("commit", "--quiet", "--all", "-m", "change")
    changed = provenance("train_lora", params)
    assert (changed["revision"], changed["uncommitted"]) == (git("rev-parse", "HEAD"), [])
    assert changed["inputs"]["stages/training"] != record["inputs"]["stages/training"]


def test_outside_git_nothing_is_claimed(project, params, monkeypatch):
    prepare(project)
    record = provenance("train_full", params)
    assert (record["revision"], record["uncommitted"]) == (None, None)
    assert record["history"] == "not readable: no git repository"
    git("init", "--quiet")
    assert provenance("train_full", params)["history"] == "not readable: no commit yet"
    monkeypatch.setenv("PATH", str(project))
    assert provenance("train_full", params)["history"] == "not readable: git is not installed"


def test_a_checkout_of_another_user_says_so(repository, params, monkeypatch):
    assert provenance("train_lora", params)["history"] == "complete"
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # how git's own tests stand in for another user
    record = provenance("train_lora", params)
    assert (record["revision"], record["uncommitted"]) == (None, None)
    assert record["history"] == "not readable: dubious ownership (the checkout belongs to another user)"


def test_a_shallow_clone_says_that_its_oldest_commit_may_not_be_the_one(
    repository, project, params, tmp_path_factory, monkeypatch
):
    for number in range(2):
        (project / "REPORT.md").write_text(f"results {number}")
        git("add", "--all")
        git("commit", "--quiet", "-m", "results")
    clone = tmp_path_factory.mktemp("shallow") / "clone"
    git("clone", "--quiet", "--depth", "2", f"file://{project}", str(clone))
    monkeypatch.chdir(clone)
    record = provenance("train_lora", params)
    assert record["revision"] == git("rev-parse", "HEAD~1") != repository
    assert record["history"].startswith("shallow: this commit or an older one")
    (clone / "stages/training/run.py").write_text("changed")
    git("commit", "--quiet", "--all", "-m", "change")
    record = provenance("train_lora", params)  # what the clone itself has is known for sure
    assert (record["revision"], record["history"]) == (git("rev-parse", "HEAD"), "complete")


def test_the_record_holds_hashes_of_what_was_made(repository, project):
    (project / "models/lora").mkdir()
    (project / "models/lora/weights").write_bytes(b"abc")
    write_provenance("train_lora", provenance("train_lora", load_params()), [project / "models/lora", project / "models/none"])
    record = json.loads((project / "metrics/provenance/train_lora.json").read_text())
    weights = hashlib.sha256(b"abc").hexdigest()
    assert record["outputs"][str(project / "models/lora")] == hashlib.sha256(f"weights {weights}\n".encode()).hexdigest()
    assert record["outputs"][str(project / "models/none")] == "absent"
    assert record["inputs"]["models/base"] == content_hash(project / "models/base")
    assert record["inputs"]["parameter peft.rank"] == "8"
    assert record["inputs"]["parameter awp.epsilon"] == "0.01"


def test_a_section_stands_for_its_single_parameters():
    assert parameter_keys(["seed", {"params.yaml": ["mixout", "peft.rank"]}]) == [
        "seed",
        "mixout.enabled",
        "mixout.p",
        "peft.rank",
    ]
    assert parameter_keys([{"params.yaml": None}]) == known_keys(Params)
    assert parameter_keys(["mix"]) == ["mix"]


def test_every_parameter_of_a_record_is_a_plain_value(project, params):
    prepare(project)
    values = {name: value for name, value in stage_inputs("train_full", params).items() if name.startswith("parameter ")}
    assert len(values) > 15 and not any("(" in value for value in values.values())


def test_an_unknown_stage_or_no_pipeline_is_named(repository, project):
    with pytest.raises(UserError, match=r"dvc\.yaml: no stage train_all"):
        stage_inputs("train_all", load_params())
    (project / "dvc.yaml").unlink()
    with pytest.raises(UserError, match="run the command in the project's folder"):
        stage_inputs("train_full", load_params())


def test_another_environment_package_requirement_or_number_of_threads_is_another_training(project, params, monkeypatch):
    prepare(project)
    write_params(project, params)
    before = stage_inputs("train_lora", load_params())

    def differing() -> set[str]:
        after = stage_inputs("train_lora", load_params())
        return {name for name in before | after if before.get(name) != after.get(name)}

    with monkeypatch.context() as changed:
        changed.setenv("MKL_CBWR", "COMPATIBLE")
        changed.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        assert differing() == {"environment MKL_CBWR", "environment ONEDNN_MAX_CPU_ISA"}
    versions = packages._installed
    for name in ("scikit-learn", "scipy", "pandas", "pyarrow", "tqdm"):
        with monkeypatch.context() as changed:
            changed.setattr(packages, "_installed", lambda asked: ("0", set()) if asked == name else versions(asked))  # noqa: B023
            assert f"package {name}" in differing()
    with monkeypatch.context() as changed:
        changed.setattr(records, "cpu_identity", lambda: "cpu family 23")
        assert differing() == {"machine processor"}
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    assert differing() == {"machine threads"}
    torch.set_num_threads(threads)
    Path("requirements.txt").write_text("torch==0\n")
    assert differing() == {"requirements.txt"}
    Path("requirements.txt").unlink()
    assert differing() == set()


@pytest.mark.parametrize(("stage", "used"), [("train_lora", True), ("train_adapter", True), ("train_full", False)])
def test_the_package_for_nf4_is_recorded_where_it_computes_and_nowhere_else(project, params, monkeypatch, stage, used):
    """Installed or not, it leaves the key of every other training as it is."""
    prepare(project)
    monkeypatch.setattr(records, "installed_version", lambda name: "1.2.3")
    keys = {}
    for frozen in ("same", "nf4"):
        write_params(project, params, frozen_dtype=frozen)
        keys[frozen] = stage_inputs(stage, load_params())
    assert "package bitsandbytes" not in keys["same"]
    assert keys["nf4"].get("package bitsandbytes") == ("1.2.3" if used else None)
