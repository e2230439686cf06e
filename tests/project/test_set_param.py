"""`dvc exp run -S` rewrites params.yaml: it must stay valid and keep its comments, whatever is set, twice, and in any order."""

import copy
import re

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from stages.project.parameters import known_keys, leaf_values, load_params
from stages.project.schema import Params
from tests.imports import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
VALUES = leaf_values(yaml.safe_load(TEXT))
LISTS = [key for key, value in VALUES.items() if isinstance(value, list)]
# together they are 1, or one is less than the other: none of them may become small alone
FRACTIONS = {"data.train_fraction", "data.validation_fraction", "data.test_fraction", "awp.window_end"}
COMMENTS = re.findall(r"#.*", TEXT)


def others(key: str) -> list[object]:
    """Two values of `key` that differ from the committed one, as somebody might set them."""
    value = VALUES[key]
    if isinstance(value, bool):
        return [not value, value]
    if isinstance(value, list):
        return [[], value[:1]]
    if isinstance(value, int | float):
        return [value + 1, value / 2]
    return ["other", None if value is None else value]


class File:
    """A copy of params.yaml that is changed by the function that `dvc exp run -S` calls."""

    def __init__(self, path):
        self.path, self.expected = path, copy.deepcopy(VALUES)
        path.write_text(TEXT, encoding="utf-8")

    def set(self, key: str, value: object) -> None:
        flow = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
        apply_overrides(self.path, [f"{key}={flow}"])
        self.expected[key] = value

    def check(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        values = leaf_values(yaml.safe_load(text))
        # DVC writes 5e-5 as `5e-05`, which PyYAML reads as text, and our loader as the number
        small = {key for key, value in values.items() if isinstance(value, str) and isinstance(self.expected[key], float)}
        assert values | {key: float(values[key]) for key in small} == self.expected
        assert re.findall(r"#.*", text) == COMMENTS


@pytest.fixture
def file(tmp_path) -> File:
    return File(tmp_path / "params.yaml")


def test_params_yaml_lists_the_parameters_of_the_schema():
    assert list(VALUES) == known_keys(Params)


@pytest.mark.parametrize("backwards", [False, True])
def test_every_parameter_can_be_set_twice_in_both_orders(file, backwards):
    for turn in range(2):
        for key in sorted(VALUES, key=list(VALUES).index, reverse=backwards):
            file.set(key, others(key)[turn])
        file.check()


@pytest.mark.parametrize("key", [key for key, value in VALUES.items() if type(value) is float and key not in FRACTIONS])
def test_a_small_number_arrives_as_a_number_however_it_is_spelled(file, key):
    for spelling in ("5e-5", "5E-05", "0.00005", "5.0e-5"):
        apply_overrides(file.path, [f"{key}={spelling}"])
        assert leaf_values(load_params(file.path).model_dump())[key] == 5e-5


@pytest.mark.parametrize("key", LISTS)
def test_a_list_can_be_emptied_and_filled_between_other_parameters(file, key):
    """A comment behind a list would be misplaced by the first change and make the file unreadable at the second."""
    for value in ([], VALUES[key], VALUES[key][:1], []):
        file.set(key, value)
        file.check()
        file.set("seed", file.expected["seed"] + 1)
        file.check()
