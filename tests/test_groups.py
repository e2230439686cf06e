"""Tests that share the finished pipeline run in one worker of pytest-xdist, although several workers run tests."""

import os
import subprocess
import sys

import pytest

from tests.imports import ROOT

CONFTEST = """
import os
from pathlib import Path
import pytest
from tests.order import pytest_collection_modifyitems

@pytest.fixture(scope="session")
def pipeline():
    Path(os.environ["MADE"], os.environ["PYTEST_XDIST_WORKER"]).touch()
"""
TESTS = """
import os
from pathlib import Path
import pytest

@pytest.fixture(autouse=True)
def worker():
    Path(os.environ["RAN"], os.environ["PYTEST_XDIST_WORKER"]).touch()

@pytest.mark.parametrize("i", range(4))
def test_with_the_pipeline(pipeline, i):
    pass

@pytest.mark.parametrize("i", range(4))
def test_without(i):
    pass
"""


@pytest.mark.slow
def test_the_pipeline_is_made_by_one_worker_only(tmp_path):
    folder, made, ran = tmp_path / "suite", tmp_path / "made", tmp_path / "ran"
    for path in (folder, made, ran):
        path.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow: takes long\n")
    (folder / "conftest.py").write_text(CONFTEST)
    for name in ("test_one.py", "test_two.py"):
        (folder / name).write_text(TESTS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MADE": str(made), "RAN": str(ran)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--import-mode=importlib"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "16 passed" in done.stdout, done.stdout
    assert len(list(ran.iterdir())) == 2
    assert len(list(made.iterdir())) == 1
