"""Markdown: front matter is read only where it is valid, and text cannot act as markup."""

import pytest

from stages.presentation.markdown import front_matter, plain, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\r\nk: 1\r\n---\r\n# Title\r\n", {"k": 1}),
        ("---\nk: [\n---\n", {}),
        ("---\n- an item\n---\n", {}),
        ("text\n---\nk: 1\n---\n", {}),
    ],
)
def test_front_matter_is_a_yaml_mapping_at_the_start(text, expected):
    assert front_matter(text) == expected


def test_a_table_aligns_its_columns_and_escapes_bars_once():
    lines = table(["name", "n"], [["a|b", 1], [plain("c|d"), 2]]).splitlines()
    assert lines == ["| name | n |", "| :--- | ---: |", "| a\\|b | 1 |", "| c\\|d | 2 |"]


def test_plain_text_is_one_line_without_markup():
    assert plain("a\n <b>  *c* [d](e)") == r"a \<b\> \*c\* \[d\](e)"
