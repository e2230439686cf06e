"""What a training prints at its end fits into a terminal, whatever the number of classes."""

import numpy as np

from stages.training.results import confusion_text


def test_few_classes_are_a_table_on_one_line_each():
    text = confusion_text(np.array([[5, 1], [2, 7]]), ["line\nbreak", "b"])
    assert [line.split() for line in text.splitlines()[1:]] == [
        ["line", "break", "b"],
        ["true", "line", "break", "5", "1"],
        ["true", "b", "2", "7"],
    ]


def test_of_many_classes_the_most_confused_pairs_are_shown():
    matrix = np.diag(np.full(50, 9))
    matrix[3, 4], matrix[7, 2] = 2, 6
    lines = confusion_text(matrix, [f"topic {k}" for k in range(50)]).splitlines()
    assert lines[0] == "most confused on validation, 450 of 458 are right"
    assert [line.strip() for line in lines[1:]] == [
        "6 of 15: true topic 7, predicted topic 2",
        "2 of 11: true topic 3, predicted topic 4",
    ]
