"""The one door through which params.yaml enters: what it may hold, and how it is read."""

from stages.config.loader import load_params
from stages.config.schema import METHODS, Params

__all__ = ["METHODS", "Params", "load_params"]
