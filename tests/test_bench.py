"""The comparison of speed: its arms train and predict all rows, and its table has the right ratios."""

import json
import subprocess
import sys

import pytest

from bench import __main__ as bench
from bench import agreement
from bench.arms import ARMS
from tests.imports import ROOT
from tests.training.tiny import prepare, write_params, write_split


@pytest.mark.slow
def test_an_arm_answers_once_for_each_line():
    code = "from bench.protocol import serve; serve(lambda: print('noise') or 7)"
    done = subprocess.run([sys.executable, "-c", code], input="\n\n", cwd=ROOT, capture_output=True, text=True, check=True)
    ready, *answers = done.stdout.splitlines()
    assert ready == "ready" and done.stderr == "noise\nnoise\n"
    assert [json.loads(answer)["units"] for answer in answers] == [7, 7]


def test_ratios_are_taken_within_a_round(capsys):
    bench.print_table("title", [("own", "other")], {"own": [2.0, 30.0, 8.0], "other": [1.0, 10.0, 2.0]})
    assert capsys.readouterr().out.splitlines()[-1].split() == ["own", "8.0", "other", "2.0", "3.000", "2.000", "..", "4.000"]


def test_every_pair_has_its_arms():
    named = {name for pair in bench.FASTER + bench.AWP + bench.PRODUCTS for name in pair}
    assert named == set(ARMS) | {bench.ADAPTERHUB}


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["plain lora", "ours adapter AWP", "plain predict 32", "ours predict", "ours full GFLOP"])
def test_arms_work_twice_on_all_rows(arm, project, params):
    prepare(project)
    write_split(project / "data/processed/test.arrow", 12, seed=3)
    write_params(project, params)
    work = ARMS[arm]()
    units = [work(), work()]
    if arm == "ours full GFLOP":
        # 2 layers of 4 x 16 x 16 + 2 x 16 x 24 weights
        assert units[0] == units[1] == pytest.approx(6e-9 * 2 * (4 * 16 * 16 + 2 * 16 * 24) * 214, rel=0.3)
    else:
        assert units == [12, 12] if "predict" in arm else [30, 30]


@pytest.mark.slow
def test_an_arm_that_cannot_start_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="the arm 'ours full' ended"):
        bench.Arm("ours full")


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / agreement.OTHER_PYTHON).is_file(), reason="no AdapterHub library: make .cache/adapterhub/.installed"
)
@pytest.mark.parametrize("place", agreement.PLACES)
def test_the_adapters_give_the_logits_of_the_adapterhub_library(place, params, monkeypatch):
    monkeypatch.chdir(ROOT)
    difference, bare = agreement.compare(place, ROOT / agreement.OTHER_PYTHON, params)
    assert difference < 1e-6 < 1e-1 < bare
