"""The look of every figure: colours and names of the methods, fonts, and how a figure becomes a file.

The colours are from Okabe and Ito, "Color Universal Design" (2008), and stay apart under the common colour vision
deficiencies; the markers differ as well, so that a print in grey can be read.
"""

from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from stages.project.files import replaced_file

METHOD_COLOURS = {"full": "#0072B2", "lora": "#D55E00", "lora_merged": "#E69F00", "adapter": "#009E73"}
METHOD_MARKERS = {"full": "o", "lora": "s", "lora_merged": "D", "adapter": "^"}
DPI = 144

_LOOK = {
    "font.family": "DejaVu Sans",  # the font that matplotlib itself brings: the same on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def house_style() -> AbstractContextManager:
    """A context, usable as a decorator too, in which figures are drawn in the look of this project.

    It starts from matplotlib's own defaults, so that a matplotlibrc of the user changes no pixel.
    """
    ours_to_leave = {"backend", "backend_fallback", "interactive", "toolbar"}
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key not in ours_to_leave}
    return matplotlib.rc_context({**defaults, **_LOOK})


def new_figure(width: float, height: float, layout: str = "constrained") -> Figure:
    """An empty figure of `width` by `height` inches; the layout engine keeps its parts from overlapping."""
    return Figure(figsize=(width, height), layout=layout)


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG, whole or not at all; the same figure gives the same bytes (no version, no date in it)."""
    with house_style(), replaced_file(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
