"""The stage plan: a table for the encoder in models/base that depends on how many classes there are, not on their names."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from stages.plan.stage import OWN, main, number_of_classes
from stages.planning.table import Row
from stages.project.errors import UserError
from stages.project.files import write_json
from stages.project.schema import METHODS


@pytest.mark.slow
def test_the_stage_writes_the_same_table_twice_and_a_larger_one_for_more_classes(project, with_params):
    small = with_params(data={"max_length": 16}, train={"batch_size": 8, "micro_batch_size": 4})
    Path("params.yaml").write_text(yaml.safe_dump(small.model_dump()))
    tables = []
    for classes in (2, 2, 5000):
        write_json(Path("metrics/data.json"), {"number_of_classes": classes})
        main()
        tables.append(Path("metrics/memory_plan.csv").read_bytes())
    assert tables[0] == tables[1]
    table = pd.read_csv("metrics/memory_plan.csv")
    assert list(table.columns) == list(Row._fields)
    assert set(table["model"]) == {OWN} and list(table["method"].unique()) == list(METHODS)
    # by checkpointing: float32 with and without AWP, bf16, and for two methods frozen weights in bf16
    assert len(table) == 2 * (3 * 2 + 3 + 2)
    Path("metrics/memory_plan.csv").write_bytes(tables[0])
    assert (table["weights_mib"] > pd.read_csv("metrics/memory_plan.csv")["weights_mib"]).all()


@pytest.mark.parametrize("content", [None, {}, {"number_of_classes": None}])
def test_a_missing_number_of_classes_is_named(project, content):
    if content is not None:
        write_json(Path("metrics/data.json"), content)
    with pytest.raises(UserError, match=r"metrics/data\.json: number_of_classes cannot be read .*; run the stage prepare first"):
        number_of_classes()
