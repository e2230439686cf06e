"""What tests of weights in nf4 need: the package, which is an optional one."""

import sys
from importlib.util import find_spec

import pytest

needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed: make setup-dev")


def hide_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process behave as if the package were not installed; PEFT, which has looked for it before, keeps its answer."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for name in [name for name in sys.modules if name.startswith("bitsandbytes.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "stages.classifier.four_bit_layer", raising=False)
