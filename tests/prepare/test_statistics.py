"""The numbers of metrics/data.json."""

import numpy as np

from stages.prepare.statistics import class_rows, leaking_rows, length_statistics, part_statistics, row_statistics
from stages.prepare.tokenizing import Encoded


def test_rows_are_counted_by_class():
    parts = {"train": np.array([1, 1, 0]), "test": np.array([1])}
    assert class_rows(parts, ["no", "yes", "maybe"]) == [
        {"name": "no", "train": 1, "test": 0},
        {"name": "yes", "train": 2, "test": 1},
        {"name": "maybe", "train": 0, "test": 0},
    ]


def test_a_part_has_its_share_of_the_largest_class_and_of_unknown_tokens():
    encoded = Encoded(np.array([3, 9, 9, 4]), np.array([7, 7, 8, 9], dtype=np.uint64), tokens=20, unknown=5)
    assert part_statistics("test", np.array([2, 0, 2, 2]), encoded, max_length=8) == {
        "test_rows": 4,
        "test_majority_percent": 75.0,
        "test_truncated_share": 0.5,
        "test_unknown_token_share": 0.25,
        "test_distinct_encodings": 3,
    }


def test_rows_of_one_split_that_look_like_rows_of_another_are_counted_by_pair():
    digests = {"train": [1, 2, 3], "validation": [2, 2, 9], "test": [9, 3, 5, 5]}
    assert leaking_rows({part: np.array(values, dtype=np.uint64) for part, values in digests.items()}) == {
        "train_validation": 2,
        "train_test": 1,
        "validation_test": 1,
    }


def test_dropped_rows_have_their_rule_in_the_name():
    assert row_statistics("x_", {"read": 3, "empty": 1}) == {"x_rows_read": 3, "x_dropped_empty": 1}


def test_percentiles_are_lengths_that_occur():
    lengths = np.array([4] * 50 + [10] * 45 + [30] * 4 + [200])
    assert length_statistics("", lengths, max_length=29) == {
        "token_length_p50": 4,
        "token_length_p95": 10,
        "token_length_p99": 30,
        "token_length_max": 200,
        "truncated_percent": 5.0,
    }
    assert length_statistics("", lengths, max_length=200)["truncated_percent"] == 0.0
