"""A method learned if it is above both kinds of chance and predicts every class."""

import pytest

from stages.presentation.learning import shortcomings

LEARNED = {"f1_minus_majority_low": 0.1, "f1_minus_stratified_low": 0.05, "never_predicted": []}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"f1_minus_majority_low": 0.0}, ["majority"]),
        ({"f1_minus_stratified_low": -0.01}, ["guessing"]),
        ({"never_predicted": ["spam"]}, ["classes"]),
        (
            {"f1_minus_majority_low": -0.2, "f1_minus_stratified_low": -0.1, "never_predicted": ["a"]},
            ["majority", "guessing", "classes"],
        ),
    ],
)
def test_each_shortcoming_is_named(change, expected):
    assert shortcomings(LEARNED | change) == expected
