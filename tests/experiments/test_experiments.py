"""The experiments run from their commands and write their tables."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from experiments import ablate_regularizers, tune_learning_rate
from tests.imports import ROOT
from tests.training.tiny import SMALL, prepare, write_params


@pytest.mark.slow
def test_ablation_trains_the_named_methods_and_keeps_the_rows_of_others(project, params):
    prepare(project)
    write_params(project, params)
    columns = ablate_regularizers.COLUMNS
    (project / "metrics").mkdir()
    old = pd.DataFrame([["full", 1.0, 1, 1, 1, 0.5, 0.5, "x"], ["lora", 1.0, 1, 1, 1, 0.5, 0.5, "x"]], columns=columns)
    old.to_csv(project / "metrics/ablation.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-m", "experiments.ablate_regularizers", "lora"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(project / "metrics/ablation.csv").set_index("method")
    assert list(table.index) == ["full", "lora"] and list(table.columns) == columns[1:]
    assert table.loc["full", "learning_rate"] == 1.0
    lora = table.loc["lora"]
    assert (lora["learning_rate"], lora["train_rows"], lora["epochs_trained"]) == (5e-3, 32, 2)
    assert 0 <= lora["validation_f1"] <= 1 and lora["validation_loss"] > 0
    assert not (project / "models/lora").exists()


def test_the_regularizers_are_off_in_the_ablation_and_nothing_else_changes(params):
    plain = ablate_regularizers.without_regularizers(params)
    assert params.awp.enabled and params.mixout.enabled
    assert not plain.awp.enabled and not plain.mixout.enabled
    assert plain.train == params.train and plain.peft == params.peft


@pytest.mark.slow
def test_a_candidate_learning_rate_gets_half_of_the_rows_and_two_epochs(project, params, with_params):
    prepare(project)
    small = with_params(train={**SMALL, "epochs": 5})
    row = dict(zip(tune_learning_rate.COLUMNS, tune_learning_rate.try_candidate(small, "adapter", 3e-3), strict=True))
    assert (row["method"], row["learning_rate"], row["train_rows"], row["epochs"]) == ("adapter", 3e-3, 16, 2)
    assert 0 <= row["validation_f1"] <= 1 and row["validation_loss"] > 0
    assert tune_learning_rate.with_budget(params, "full", 1e-6).train.learning_rate.full == 1e-6
