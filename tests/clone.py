"""A copy of the project in which the true pipeline has run, with DVC, on the examples."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from experiments.verify import SMALL
from tests.imports import ROOT

STAGES = [
    *("fetch", "prepare", "train_full", "train_lora", "train_adapter"),
    *("evaluate", "benchmark", "plan", "plan_published", "report"),
]


class Project:
    """A copy of the project in a git repository of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.environment |= {"DVC_NO_ANALYTICS": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "results")

    def json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())


def ran(output: str) -> list[str]:
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


def skipped(output: str) -> list[str]:
    return [stage for stage in STAGES if f"Stage '{stage}' didn't change, skipping" in output]


def copy_project(folder: Path) -> Project:
    """Return the pipeline in `folder`, committed, with small parameters and before anything has run."""
    project = Project(folder)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept = ("metrics/learning_rates.csv", "metrics/ablation.csv")
    made = ("metrics/", "plots/", "reports/", "dvc.lock", "REPORT.md")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and (name in kept or not name.startswith(made)):
            (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project.folder / name)
    params = yaml.safe_load((project.folder / "params.yaml").read_text())
    for section, values in SMALL.items():
        params[section].update(values)
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    project.run("git", "init", "--quiet")
    project.commit()
    return project


def make_project(folder: Path) -> Project:
    """Return the pipeline in `folder` after its first `dvc repro`, committed."""
    project = copy_project(folder)
    assert ran(project.run("dvc", "repro")) == STAGES
    project.commit()
    return project
