"""The style of all figures: colours and markers of the methods, fonts, and how a figure becomes a file.

The colours are from Okabe and Ito, "Color Universal Design" (2008), and can be told apart with the common colour vision
deficiencies; the markers differ too, so a greyscale print is readable.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.figure import Figure

from stages.project.files import replaced_file

METHOD_COLOURS = {"full": "#0072B2", "lora": "#D55E00", "lora_merged": "#E69F00", "adapter": "#009E73"}
METHOD_MARKERS = {"full": "o", "lora": "s", "lora_merged": "D", "adapter": "^"}
INK = "#222222"  # for what belongs to no method
DPI = 144

_LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same on every machine
    "font.size": 10,
    "text.parse_math": False,  # class names come from the user: a dollar sign in one must not start a formula
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


@contextmanager
def house_style() -> Iterator[None]:
    """Draw figures in the style of this project: a context manager, also usable as a decorator.

    It starts from matplotlib's own defaults, so that the user's matplotlibrc has no effect.
    """
    kept = {"backend", "backend_fallback", "interactive", "toolbar"}
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if key not in kept}
    settings: dict[Any, Any] = {**defaults, **_LOOK}  # the stubs have a literal for every key
    with matplotlib.rc_context(settings):
        yield


def new_figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """Return an empty figure of `width` by `height` inches, whose layout engine keeps its parts from overlapping."""
    return Figure(figsize=(width, height), layout=layout)


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG, completely or not at all; the same figure gives the same bytes (no version, no date)."""
    with house_style(), replaced_file(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
