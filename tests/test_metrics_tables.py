"""What DVC prints in a terminal of 120 columns: `dvc metrics show`, `dvc metrics diff` and `dvc exp show`, by DVC's own code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.compare import diff_table, metrics_table
from dvc.repo.metrics.diff import _diff
from tabulate import tabulate

from stages.project.schema import METHODS
from tests.imports import ROOT
from tests.metric_keys import HEADLINE

WIDTH = 120
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
FILES = [f"metrics/{method}.json" for method in METHODS]
SHOW = "dvc exp show --only-changed --keep '.*:f1$' --drop 'Created|.*/'"  # as README says it
# no method is larger than an encoder of the largest family here: 1.5 billion weights, 6 GB of them in float32
WIDEST = dict(zip(HEADLINE, [*[0.8765] * 6, 5987.65, 1_566_203_394], strict=True))


def lines(table) -> list[str]:
    """The table as DVC writes it without colours (dvc.ui.table.plain_table)."""
    return tabulate(list(table), headers=table.keys(), tablefmt="plain", disable_numparse=True).splitlines()


def result(files: dict[str, dict]) -> dict:
    return {"data": {path: {"data": content} for path, content in files.items()}}


def committed() -> dict[str, dict]:
    return {path: json.loads((ROOT / path).read_text()) for path in FILES}


def test_these_files_are_the_declared_metrics_and_no_others():
    assert [name for stage in STAGES.values() for entry in stage.get("metrics", []) for name in entry] == FILES
    assert "metrics" not in yaml.safe_load((ROOT / "dvc.yaml").read_text())


@pytest.mark.parametrize("files", [committed(), dict.fromkeys(FILES, WIDEST)], ids=["committed", "widest"])
def test_metrics_show_is_one_table_with_a_row_per_method(files):
    header, *body = lines(metrics_table({"workspace": result(files)}, precision=5, round_digits=True))
    assert header.split() == ["Path", *HEADLINE]
    assert [line.split()[0] for line in body] == FILES
    assert all("-" not in line.split()[1:] for line in body)  # no key of one file only
    assert max(len(line) for line in (header, *body)) <= WIDTH


def test_metrics_diff_of_one_method_is_at_most_a_row_per_key():
    changed = {**dict.fromkeys(FILES, WIDEST), FILES[1]: {key: value / 2 for key, value in WIDEST.items()}}
    diff = _diff({"HEAD": result(dict.fromkeys(FILES, WIDEST)), "workspace": result(changed)}, "HEAD", "workspace")["diff"]
    header, *body = lines(diff_table(diff, title="Metric", precision=5, round_digits=True))
    assert [line.split()[:2] for line in body] == [[FILES[1], key] for key in HEADLINE]
    assert max(len(line) for line in (header, *body)) <= WIDTH


SCRIPT = """
import json, yaml
rank = yaml.safe_load(open("params.yaml"))["peft"]["rank"]
for name in %s:
    json.dump({key: rank / 10_000 for key in %s}, open(name, "w"))
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    """A repository with metric files of ours, params.yaml, a quick stage that writes the first from the second, and a run."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "metrics").mkdir()
    (folder / "write.py").write_text(SCRIPT % (FILES, HEADLINE))
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    stage = {"cmd": f"'{sys.executable}' write.py", "deps": ["write.py"], "params": ["peft.rank"]}
    outs = {"metrics": [{name: {"cache": False}} for name in FILES]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"write": {**stage, **outs}}}))
    for command in ("git init -q", "dvc init -q", "dvc repro -q", "git add -A", "git commit -qm results"):
        run(folder, command)
    run(folder, "dvc exp run -q -S peft.rank=4")
    return folder


def run(folder: Path, command: str) -> str:
    identity = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **identity, "PATH": tools, "COLUMNS": str(WIDTH), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_exp_show_names_the_parameter_and_f1_of_every_method_without_an_ellipsis(experiment):
    table = run(experiment, f"{SHOW} --no-pager")
    header = next(line for line in table.splitlines() if "Experiment" in line)
    assert header.split() == ["Experiment", *(f"{name}:f1" for name in FILES), "peft.rank"]
    assert re.search(r"─ [0-9a-f]{7} \[[\w-]+\] +0\.0004 +0\.0004 +0\.0004 +4", table)
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= WIDTH


def test_readme_names_that_command():
    assert SHOW in (ROOT / "README.md").read_text()


def test_readme_shows_full_against_lora_as_dvc_prints_it():
    full, lora = (result({"metrics/headline.json": committed()[f"metrics/{method}.json"]}) for method in ("full", "lora"))
    diff = _diff({"full": full, "lora": lora}, "full", "lora")["diff"]
    table = lines(diff_table(diff, title="Metric", precision=5, round_digits=True, a_rev="full", b_rev="lora"))
    assert "\n".join(f"    {line.rstrip()}" for line in table) in (ROOT / "README.md").read_text()
