"""Class names as labels: short, different from each other, drawable, whatever the names are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.presentation.labels import can_draw, figure_labels, number_key, short_labels
from stages.presentation.text import aligned, display_width, one_line


def test_short_names_stay_as_they_are():
    names = ["negative", "$x_1$", "*star*", "</script><b>x", "emoción"]
    assert short_labels(names, 24) == figure_labels(names, 24) == names
    assert number_key(names, 24) == ""


def test_names_that_begin_alike_are_cut_where_they_do_not_differ():
    names = [f"Home > Kitchen > Small appliances > {thing}" for thing in ("Kettles", "Toasters", "Mixers")]
    assert short_labels(names, 24) == ["Home >…> Kettles", "Home >…> Toasters", "Home >…> Mixers"]
    middle = [f"Department of very important things, part {k}, of the ministry of everything else" for k in range(3)]
    labels = short_labels(middle, 24)
    assert labels == [f"…{k}, of the ministry of…" for k in range(3)]


def test_names_that_differ_only_in_spaces_get_the_number_of_their_class():
    assert short_labels(["a b", "a\nb", "c"], 24) == ["a b [0]", "a b [1]", "c"]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True), st.integers(12, 30))
def test_labels_of_any_names_are_short_single_lines_and_all_different(names, longest):
    for labels in (short_labels(names, longest), figure_labels(names, longest)):
        assert len(set(labels)) == len(names)
        assert all(len(label) <= longest and "\n" not in label for label in labels)
    assert all(can_draw(label) for label in figure_labels(names, longest))


@given(st.text(min_size=20, max_size=60), st.lists(st.text(max_size=8), min_size=2, max_size=8, unique=True))
def test_labels_of_names_with_a_long_common_start_are_different(start, ends):
    assert len(set(short_labels([start + end for end in ends], 16))) == len(ends)


@pytest.mark.parametrize("name", ["很好", "हिन्दी", "ไทย", "👍 nice"])
def test_a_name_that_the_font_cannot_draw_becomes_a_number_with_a_key(name):
    assert figure_labels(["bad", name], 24) == ["bad", "[1]"]
    assert number_key(["bad", name], 24) == f"[1] {name}"


def test_a_class_named_like_a_number_is_not_taken_for_another():
    names = ["[1]", "很好"]
    labels = figure_labels(names, 24)
    assert len(set(labels)) == 2
    assert number_key(names, 24) == "[0] [1]\n[1] 很好"


def test_what_cannot_be_seen_is_shown_by_its_number():
    assert one_line("a\u200bb") == "a\\u200bb" != one_line("ab")
    assert one_line(" line\n\tbreak ") == "line break"
    assert one_line("👩\u200d💻") == "👩\u200d💻"  # one emoji, of which the joiner is a part


def test_columns_are_as_wide_as_a_terminal_shows_them():
    assert [display_width(text) for text in ("ab", "很好", "e\u0301")] == [2, 4, 1]
    lines = aligned([["name", "n"], ["很好", "12"], ["a", "345"]]).splitlines()
    assert lines == ["name    n", "很好   12", "a     345"]
    assert {display_width(line) for line in lines} == {9}
