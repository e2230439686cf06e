"""What the last commit has, read by one process of git, and what git cannot tell."""

import subprocess
from pathlib import Path

import pytest

from stages.project import git as module
from stages.project.git import COMPARED, Unreadable, committed, git
from stages.project.paths import DURATIONS, PARAMS

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.org")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    module._committed_in.cache_clear()
    return tmp_path


def commit(*paths: Path) -> None:
    for command in (("init", "--quiet"), ("add", *map(str, paths)), (*IDENTITY, "commit", "--quiet", "-m", "m")):
        subprocess.run(["git", *command], check=True)
    module._committed_in.cache_clear()


def test_all_files_are_read_by_one_process_and_as_they_were_committed(folder, monkeypatch):
    texts = {PARAMS: "seed: 1\n# å\n\nmissing: x", DURATIONS: '{"a": 1}\n'}
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    commit(*texts)
    PARAMS.write_text("seed: 2\n")
    started = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: started.append(arguments) or run(*arguments, **options))
    assert {path: committed(path).strip() for path in COMPARED} == {path: text.strip() for path, text in texts.items()}
    assert len(started) == 1


@pytest.mark.parametrize("kept", [PARAMS, DURATIONS])
def test_a_file_that_is_not_committed_is_empty(folder, kept):
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("seed: 1\n")
    commit(kept)
    assert {path: committed(path).strip() for path in COMPARED} == dict.fromkeys(COMPARED, "") | {kept: "seed: 1"}


def test_a_folder_inside_the_repository_has_files_of_its_own(folder, monkeypatch):
    (folder / "inside").mkdir()
    (folder / "inside/params.yaml").write_text("seed: 3\n")
    PARAMS.write_text("seed: 1\n")
    commit(Path("inside"), PARAMS)
    monkeypatch.chdir(folder / "inside")
    assert committed(PARAMS).strip() == "seed: 3"


def test_without_git_or_a_commit_there_is_nothing(folder, monkeypatch):
    assert committed(PARAMS) == ""
    with pytest.raises(Unreadable, match="no git repository"):
        git("status")
    subprocess.run(["git", "init", "--quiet"], check=True)
    module._committed_in.cache_clear()
    assert committed(DURATIONS) == ""
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(Unreadable, match="git is not installed"):
        git("status")
