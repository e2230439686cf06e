"""Classes with too few rows: named together, dropped or merged."""

import numpy as np
import pytest

from stages.classifier.splits import SPLITS
from stages.prepare.rare import choose_classes, rare_warning
from stages.prepare.splitting import allotted
from stages.project.errors import UserError

NAMES = ["big", "large", "one", "two"]


def counts(*rows: int, **given: list[int]) -> np.ndarray:
    """Rows by split and class, (3, K); `rows` are those given for train."""
    return np.array([rows, given.get("validation", [0] * len(rows)), given.get("test", [0] * len(rows))])


def refused(params, names, table, given=("train",), **data) -> str:
    with pytest.raises(UserError) as caught:
        choose_classes(names, table, params(data=data).data, given)
    return str(caught.value)


def test_enough_rows_leave_the_classes_as_they_are(with_params):
    for action in ("error", "drop", "merge"):
        classes = choose_classes(["a", "b"], counts(50, 50), with_params(data={"rare_classes": action}).data)
        assert classes.names == ["a", "b"] and classes.position.tolist() == [0, 1] and classes.rare == {}


def test_all_rare_classes_are_in_one_message(with_params):
    message = refused(with_params, NAMES, counts(90, 80, 1, 2))
    assert message.startswith(
        "2 of 4 classes have too few rows after cleaning: 'one' (1), none of them in validation or test; "
        "'two' (2), none of them in validation. "
    )
    assert "validation takes 10% of the data, so give each class about 10 rows" in message and "data.rare_classes" in message


def test_one_rare_class_is_named(with_params):
    assert refused(with_params, ["common", "rare"], counts(97, 3)).startswith(
        "1 of 2 classes have too few rows after cleaning: 'rare' (3), none of them in validation. "
    )
    assert refused(with_params, ["no", "yes"], counts(50, 0)).startswith(
        "1 of 2 classes have too few rows after cleaning: 'yes' (0). "
    )


def test_a_class_that_a_given_split_lacks_is_named_with_the_split(with_params):
    given = ("train", "test")
    missing = refused(with_params, ["a", "b"], counts(25, 25, test=[10, 0]), given)
    assert "'b' (25), none of them in test. " in missing and "test was given" in missing
    assert "%" not in missing
    assert "none of them in train or validation" in refused(with_params, ["a", "b"], counts(50, 0, test=[5, 5]), given)
    few = refused(with_params, ["a", "b"], counts(49, 1, test=[5, 5]), given)
    assert "'b' (6), none of them in validation" in few and "12% of train's rows" in few
    other = refused(with_params, ["-1", "a", "b"], counts(0, 25, 25, test=[10, 0, 0]), given)
    assert "no label of test is one of train: are both labelled alike?" in other


@pytest.mark.parametrize("action", ["drop", "merge"])
def test_no_split_lacks_a_class_that_is_left(with_params, action):
    generator = np.random.default_rng(0)
    params = with_params(data={"rare_classes": action, "rare_class_min": 8}).data
    for _ in range(50):
        table = counts(100, 100, 6, 7, *generator.integers(0, 12, 6))
        classes = choose_classes([str(k) for k in range(10)], table, params)
        left = np.zeros((3, len(classes.names)), dtype=int)
        for k, place in enumerate(classes.position):
            if place >= 0:
                left[:, place] += table[:, k]
        assert allotted(left, params, ["train"]).all()
        assert left.sum() == table.sum() - (sum(classes.rare.values()) if action == "drop" else 0)


def test_rare_classes_are_dropped(with_params):
    data = with_params(data={"rare_classes": "drop"}).data
    classes = choose_classes(NAMES, counts(90, 80, 1, 2), data)
    assert classes == (["big", "large"], pytest.approx([0, 1, -1, -1]), {"one": 1, "two": 2})
    said = rare_warning(classes, "drop", test_given=False)
    assert said == "2 rare class(es) with 3 row(s) were dropped (data.rare_classes): 'one' (1), 'two' (2)."
    assert "cannot be compared" in rare_warning(classes, "drop", test_given=True)


def test_rare_classes_become_one(with_params):
    data = with_params(data={"rare_classes": "merge", "rare_class_min": 10}).data
    classes = choose_classes(["b", "a", "c"], counts(9, 90, 8), data)
    assert classes == (["a", "other"], pytest.approx([1, 0, 1]), {"b": 9, "c": 8})
    assert "merged into the class 'other'" in rare_warning(classes, "merge", test_given=False)
    joined = choose_classes(["other", "a", "c"], counts(50, 90, 2), data)
    assert joined == (["other", "a"], pytest.approx([0, 1, 0]), {"c": 2})


def test_what_would_be_left_must_be_classes(with_params):
    assert "drop leaves 'a', and two classes" in refused(with_params, ["a", "b"], counts(90, 2), rare_classes="drop")
    assert "drop leaves no class" in refused(with_params, ["a", "b"], counts(1, 1), rare_classes="drop")
    message = refused(with_params, ["a", "b", "c"], counts(90, 2, 1), rare_classes="merge")
    assert "merge gives the class 'other' only 3 row(s); raise data.rare_class_min (0)" in message and "'c' (1)" in message


def test_the_least_that_is_asked_for_counts_always(with_params):
    message = refused(with_params, ["a", "b"], counts(90, 40), rare_class_min=50)
    assert "'b' (40). " in message and "data.rare_class_min asks for 50" in message


def test_many_rare_classes_are_counted(with_params):
    names = [f"class {k}" for k in range(500)]
    message = refused(with_params, names, counts(*[1] * 498, 90, 90))
    assert message.startswith("498 of 500 classes") and len(message) < 2000 and message.count("(1)") == 20


def test_every_split_is_in_the_table():
    assert counts(1).shape[0] == len(SPLITS)
