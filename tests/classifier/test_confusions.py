"""The most confused pairs and the classes with the most errors, on a matrix counted by hand."""

import numpy as np

from stages.classifier.confusions import most_confused, most_erring

MATRIX = np.array([[50, 3, 0, 0], [7, 40, 0, 0], [0, 3, 9, 0], [0, 0, 0, 99]])


def test_pairs_are_sorted_by_count_and_then_by_class():
    assert most_confused(MATRIX) == [(1, 0, 7), (0, 1, 3), (2, 1, 3)]
    assert most_confused(MATRIX, 1) == [(1, 0, 7)]
    assert most_confused(np.diag([3, 4])) == []


def test_an_error_counts_for_both_classes():
    assert most_erring(MATRIX, 2).tolist() == [0, 1]  # 10 and 13 errors; class 2 has 3
    assert most_erring(MATRIX, 3).tolist() == [0, 1, 2]
