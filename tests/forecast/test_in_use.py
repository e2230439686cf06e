"""DVC's note of the files in use after a kill."""

import json

import pytest

from stages.forecast import in_use
from stages.forecast.__main__ import main as forecast
from study import state
from tests.clone import copy_project


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(in_use, "PAUSE", 0)


def test_a_note_that_dvc_can_read_or_that_is_not_there_is_left_to_it(tmp_path, capsys):
    note = tmp_path / "rwlock"
    in_use.mend(note)
    assert not note.exists()
    note.write_text('{"write": {}}')
    in_use.mend(note)
    assert note.read_text() == '{"write": {}}' and capsys.readouterr().out == ""


@pytest.mark.parametrize("half", ["", '{"write": {'])
def test_a_note_that_was_left_half_written_is_deleted_and_told(tmp_path, capsys, half):
    note = tmp_path / "rwlock"
    note.write_text(half)
    in_use.mend(note)
    assert not note.exists()
    assert capsys.readouterr().out == f"{note}: left half written by a process that was killed; deleted\n"


def test_a_note_that_is_just_being_written_is_left(tmp_path, monkeypatch, capsys):
    note = tmp_path / "rwlock"
    note.write_text("")
    monkeypatch.setattr(in_use.time, "sleep", lambda _: note.write_text("{}"))
    in_use.mend(note)
    assert note.read_text() == "{}" and capsys.readouterr().out == ""


@pytest.mark.slow
def test_dvc_starts_again_in_the_comparison_and_in_the_study(tmp_path, monkeypatch, capsys):
    """With the true DVC, which writes its note where we look for it."""
    project = copy_project(tmp_path)
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("PATH", project.environment["PATH"])
    notes = state.NOTES
    for note in notes:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("")
    with pytest.raises(AssertionError, match="rwlock"):
        project.run("dvc", "status", "prepare")
    forecast()
    assert str(notes[0]) in capsys.readouterr().out
    project.run("dvc", "status", "prepare")
    assert state.unfinished_stages() is not None and str(notes[1]) in capsys.readouterr().out
    for note in notes:
        assert isinstance(json.loads(note.read_text()), dict)
