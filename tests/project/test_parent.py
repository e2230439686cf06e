"""A stage ends when DVC, which started it, has ended."""

import os
import subprocess
import sys
import threading

import psutil
import pytest

from stages.project import parent
from tests.imports import ROOT
from tests.stopping import interruptible

# starts a command as DVC does, and waits
DVC = """
import os, subprocess, sys
child = subprocess.Popen(["sh", "-c", sys.argv[1]], env=os.environ | {"DVC_STAGE": "train_full"})
child.wait()
"""
STAGE = """
import os, sys, time
from stages.project import parent
from stages.project.running import loading
parent.PATIENCE = float(sys.argv[1])
with loading():
    print(os.getpid(), flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("command", "patience"),
    [("exec {}", 60), ("{}; true", 60), ("trap '' INT; exec {}", 0.1)],
    ids=["a shell that hands over", "a shell that stays", "in the background"],
)
def test_a_stage_is_interrupted_when_dvc_is_killed(tmp_path, command, patience):
    (tmp_path / "stage.py").write_text(STAGE)
    dvc = subprocess.Popen(
        [sys.executable, "-c", DVC, command.format(f"{sys.executable} {tmp_path / 'stage.py'} {patience}")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    stage = psutil.Process(int(dvc.stdout.readline()))
    dvc.kill()
    dvc.wait()
    stage.wait(timeout=60)
    errors = dvc.stderr.read()
    assert "DVC was ended, and with it this stage" in errors and "Traceback" not in errors
    assert ("stopped; `dvc repro` continues from here" in errors) == (patience > 1)


def test_a_stage_that_was_not_started_by_dvc_does_not_look(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    before = threading.active_count()
    parent.end_with_dvc()
    assert threading.active_count() == before
