"""Markdown filled to a width reads the same as before."""

from stages.report.filling import WIDTH, fill


def test_paragraphs_and_bullets_are_filled():
    text = fill("some words\nand more " * 20 + "\n\n\n\n- a bullet\n  goes on\n- another " + "word " * 40)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH and len(lines[0]) > WIDTH - 10
    assert "- a bullet goes on" in lines and lines[-1].startswith("  word") and "\n\n\n" not in text


def test_what_is_laid_out_stays():
    table = "| a | b |\n| :--- | ---: |\n| " + "x" * 200 + " | 1 |"
    code = "    make  repro      # a comment\n    dvc  repro"
    fence = "```\n  two  spaces\n\n\nafter empty lines\n```"
    numbered = "1. one " + "word " * 40 + "end\n2. two"
    for block in (table, code, fence, numbered, "![a](b.png) ![c](d.png)"):
        assert fill(block) == block + "\n"


def test_a_heading_is_followed_at_once():
    assert fill("# Title\n\ntext\n\n## Part\n\ntext") == "# Title\n\ntext\n\n## Part\ntext\n"


def test_no_line_begins_a_list_by_chance_and_code_stays_on_one_line():
    texts = [fill("x" * n + " a + b - c # d > e 6. f") for n in range(WIDTH - 20, WIDTH)]
    assert all(text.count("\n") == 2 for text in texts)
    assert not [line for text in texts for line in text.splitlines() if line.startswith(("+", "-", "#", ">", "6."))]
    assert "`y = W x + b`" in fill("word " * 22 + "`y = W x + b` end")
