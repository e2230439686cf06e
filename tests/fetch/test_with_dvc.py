"""Own tables under DVC, in a true repository: where `--temp` finds them, and names that `-S` takes in quotes only."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.clone import Project, copy_project
from tests.imports import ROOT

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs/own-data.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return copy_project(tmp_path_factory.mktemp("own"))


@pytest.fixture
def clean(project):
    """The project, which is as it was committed again afterwards."""
    start = project.run("git", "rev-parse", "HEAD").strip()
    yield project
    project.run("git", "reset", "--quiet", "--hard", start)
    project.run("git", "clean", "--quiet", "-d", "--force")


def write_table(path: Path, text: str = "text", label: str = "label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"text {i},{'yes' if i % 2 else 'no'}\n" for i in range(60))
    path.write_text(f'"{text}",{label}\n{rows}', encoding="utf-8")
    return path


def run(project: Project, command: str) -> tuple[int, str]:
    """Run a command line in the project; return its status and what it printed."""
    done = subprocess.run(command, shell=True, cwd=project.folder, env=project.environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def in_a_copy(project: Project, path: str) -> tuple[int, str]:
    return run(project, f"dvc exp run --temp -S data.source=csv -S data.csv.path={path} fetch")


def test_a_table_in_a_copy_of_the_project(clean, tmp_path):
    """What docs/own-data.md says of `--temp`: neither unknown nor added is enough, each of its three ways is."""
    write_table(clean.folder / "mine.csv")
    status, output = in_a_copy(clean, "mine.csv")
    assert status and "failed to reproduce 'fetch': [Errno 2] No such file or directory: '" in output and "mine.csv'" in output
    assert "failed to reproduce 'fetch': [Errno 2] No such file or directory: '.../mine.csv'" in PAGE
    assert in_a_copy(clean, write_table(tmp_path / "mine.csv").as_posix())[0] == 0
    for way in ("git add mine.csv", "dvc add mine.csv && git add mine.csv.dvc .gitignore"):
        assert f'`{way} && git commit -m "My data"`' in PAGE
        identity = "-c user.name=t -c user.email=t@example.org"
        assert run(clean, f'{way} && git {identity} commit -m "My data"')[0] == 0
        status, output = in_a_copy(clean, "mine.csv")
        assert status == 0 and "Ran experiment" in output, output
        clean.run("git", "reset", "--quiet", "--hard", "HEAD~1")
        write_table(clean.folder / "mine.csv")


def test_adding_alone_does_not_last(clean):
    write_table(clean.folder / "mine.csv")
    clean.run("git", "add", "mine.csv")
    assert run(clean, "dvc exp run -S data.source=csv -S data.csv.path=mine.csv fetch")[0] == 0
    assert "?? mine.csv" in clean.run("git", "status", "--short")


def test_names_in_quotes_as_the_page_shows_them(clean):
    command = PAGE[PAGE.index("    dvc exp run -S data.source=csv -S \"data.csv.path='Res") :].split("\n\n")[0]
    write_table(clean.folder / "Reseñas (2024) [v1].csv", "Texto: reseña [es], (v1)", "on")
    status, output = run(clean, f"{command.strip()} prepare")
    assert status == 0, output
    csv = yaml.safe_load((clean.folder / "params.yaml").read_text(encoding="utf-8"))["data"]["csv"]
    assert (csv["path"], csv["text_column"]) == ("Reseñas (2024) [v1].csv", "Texto: reseña [es], (v1)")
    assert (clean.folder / "data/processed/train.arrow").is_file()


def test_data_raw_belongs_to_the_user(clean):
    write_table(clean.folder / "data/raw/mine.csv")
    status, output = run(clean, "dvc exp run -S data.source=csv -S data.csv.path=data/raw/mine.csv fetch")
    assert status == 0, output
    assert (clean.folder / "data/raw/mine.csv").is_file() and "?? data/" in clean.run("git", "status", "--short")


def test_files_that_are_named_are_dependencies_by_their_folder(clean):
    write_table(clean.folder / "corpus/2023.csv")
    write_table(clean.folder / "corpus/2024/all.csv")
    names = "-S data.csv.train_file=2023.csv -S data.csv.test_file=2024/all.csv"
    status, output = run(clean, f"dvc exp run -S data.source=csv -S data.csv.path=corpus {names} fetch")
    assert status == 0 and "Running stage 'fetch'" in output, output
    assert "Stage 'fetch' didn't change" in clean.run("dvc", "repro", "fetch")
    with (clean.folder / "corpus/2024/all.csv").open("a") as file:
        file.write("another,no\n")
    assert "Running stage 'fetch'" in clean.run("dvc", "repro", "fetch")
