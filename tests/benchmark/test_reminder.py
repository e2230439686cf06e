"""What is said of a report that still quotes the timings before."""

import pytest

from stages.benchmark.reminder import REMINDER, reminder


@pytest.mark.parametrize(
    ("before", "after", "report", "said"),
    [
        ("a", "a", True, f"{REMINDER}\n"),
        ("a", "b", True, ""),  # DVC sees the change, and renders the report
        (None, "a", True, ""),
        ("a", "a", False, ""),
    ],
)
def test_it_is_said_only_where_dvc_sees_no_change(tmp_path, capsys, before, after, report, said):
    counted, document = tmp_path / "memory.json", tmp_path / "REPORT.md"
    if before:
        counted.write_text(before)
    if report:
        document.write_text("timings")
    with reminder(counted, document):
        counted.write_text(after)
    assert capsys.readouterr().out == said


def test_a_benchmark_that_fails_says_nothing(tmp_path, capsys):
    (tmp_path / "memory.json").write_text("a")
    (tmp_path / "REPORT.md").write_text("timings")
    with pytest.raises(ZeroDivisionError), reminder(tmp_path / "memory.json", tmp_path / "REPORT.md"):
        raise ZeroDivisionError
    assert capsys.readouterr().out == ""
