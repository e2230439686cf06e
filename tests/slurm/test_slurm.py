"""srun starts trainings, and a job array runs cells of the study, under a real SLURM where one can be started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.project.files import read_json, write_json
from study.definition import METHODS
from tests.clone import Project, copy_project
from tests.imports import ROOT
from tests.slurm.cluster import NotHere, cluster
from tests.training.tiny import prepare, write_params

pytestmark = pytest.mark.slow
CELLS = ["conditions-head-none-1", "conditions-head-both-1"]
SMALL = {"methods": ["head"], "conditions": ["none", "both"], "seeds": [1], "rows": 60, "epochs": 3}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    try:
        with cluster(tmp_path_factory.mktemp("slurm")) as environment:
            yield environment | {"OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}
    except NotHere as reason:
        pytest.skip(f"no SLURM here: {reason}")


def run(environment: dict[str, str], *command: str, folder: Path = Path()) -> subprocess.CompletedProcess:
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=240)


def test_srun_trains_what_torchrun_trains(project, slurm, with_params):
    """The same bytes; rank 0 alone writes."""
    prepare(project)
    models = []
    for launcher in ("torchrun --standalone --nproc-per-node=2", "srun --ntasks=2"):
        write_params(project, with_params(), launcher=launcher)
        done = run(slurm, sys.executable, "-m", "stages.train_full")
        assert done.returncode == 0, done.stderr
        models.append((project / "models/full/model.safetensors").read_bytes())
    assert models[0] == models[1]


def test_an_error_of_srun_is_one_message(project, slurm, with_params):
    prepare(project)
    write_params(project, with_params(), launcher="srun --ntasks=2")
    (project / "data/processed/labels.json").unlink()
    done = run(slurm, sys.executable, "-m", "stages.train_full")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.count("error: data/processed/labels.json: no such file") == 1


def test_an_array_runs_the_cells_on_data_from_the_remote(slurm, tmp_path):
    """As docs/scaling.md says: one cell a task, each in a clone of its own; afterwards no cell is trained again."""
    (tmp_path / "a").mkdir()
    project = small_study(copy_project(tmp_path / "a"), tmp_path / "store")
    folder = project.folder
    (folder / ".cache/slurm").mkdir(parents=True, exist_ok=True)
    (folder / ".cache/cells.txt").write_text("\n".join(CELLS) + "\n")
    environment = slurm | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{slurm['PATH']}"}
    submit = ("sbatch", "--wait", "--mem=0", f"--array=1-{len(CELLS)}", str(ROOT / "examples/slurm/study.sbatch"))
    done = run(environment, *submit, folder=folder)
    logs = {path.name: path.read_text() for path in sorted((folder / ".cache/slurm").glob("*.txt"))}
    assert done.returncode == 0, (done.stderr, logs)
    project.run("dvc", "--cd", "study", "commit", "--force", *(cell.replace("-", "@", 1) for cell in CELLS))
    for cell in CELLS:
        assert read_json(folder / f"metrics/study/cells/{cell}.json")["validation_f1"] > 0
        listed = project.run(sys.executable, "-m", "study.cells", "--names")
        assert f"finished  {cell}\n" in listed


def small_study(project: Project, store: Path) -> Project:
    """Cells that train for seconds, rates that were chosen already, and data in a remote, committed."""
    folder = project.folder
    (folder / "study/dvc.lock").unlink(missing_ok=True)
    path = folder / "study/params.yaml"
    content = yaml.safe_load(path.read_text())
    content["conditions"] |= SMALL
    content["settings"]["train"] |= {"batch_size": 8, "micro_batch_size": 4}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    rates = {method: dict.fromkeys(("none", "mixout", "awp", "both"), 1e-3) for method in METHODS}
    write_json(folder / "metrics/study/rates.json", rates)
    project.run("dvc", "repro", "prepare")
    project.run(sys.executable, "-m", "study.inputs")
    project.run("dvc", "remote", "add", "--default", "store", str(store))
    project.run("dvc", "push")
    project.commit()
    return project
