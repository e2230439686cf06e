"""The numbers of metrics/data.json."""

import numpy as np

from stages.prepare.statistics import class_statistics, length_statistics, majority_statistics, row_statistics


def test_rows_are_counted_by_class():
    assert class_statistics("test", np.array([1, 1, 0]), ["no", "yes", "maybe"]) == {
        "test_rows": 3,
        "test_rows_no": 1,
        "test_rows_yes": 2,
        "test_rows_maybe": 0,
    }


def test_the_share_of_the_largest_class():
    assert majority_statistics("test", np.array([2, 0, 2, 2])) == {"test_majority_percent": 75.0}


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
