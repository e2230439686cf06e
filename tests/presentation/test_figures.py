"""The house style: a user's own settings have no effect, and do not change."""

import matplotlib
import pytest

from stages.presentation.figures import METHOD_COLOURS, METHOD_MARKERS, house_style, new_figure, save_figure
from stages.presentation.titles import METHOD_LABELS


@house_style()
def draw():
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.plot([1, 2], label="line")
    axes.legend()
    return figure


@pytest.mark.parametrize("setting", [{"font.size": 30.0}, {"axes.facecolor": "black"}, {"figure.dpi": 40.0}])
def test_a_matplotlibrc_of_the_user_changes_no_byte(setting, tmp_path):
    save_figure(draw(), tmp_path / "plain.png")
    with matplotlib.rc_context(setting):
        save_figure(draw(), tmp_path / "set.png")
        assert all(matplotlib.rcParams[key] == value for key, value in setting.items())
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "set.png").read_bytes()


def test_the_folder_is_created_and_the_old_file_replaced(tmp_path):
    path = tmp_path / "plots" / "figure.png"
    save_figure(draw(), path)
    path.write_bytes(b"old")
    save_figure(draw(), path)
    assert path.read_bytes() != b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["figure.png"]


def test_every_arm_has_its_own_colour_marker_and_name():
    for mapping in (METHOD_COLOURS, METHOD_LABELS, METHOD_MARKERS):
        assert set(mapping) == {"full", "lora", "lora_merged", "adapter"}
        assert len(set(mapping.values())) == 4
