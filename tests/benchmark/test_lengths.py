"""The benchmark measures no text that is longer than the model accepts."""

import pytest

from stages.benchmark.lengths import check_lengths
from stages.project.errors import UserError


def test_lengths_beyond_the_model_are_refused():
    check_lengths([16, 32], 32)
    with pytest.raises(UserError, match=r"received \[64, 128\].*up to 32"):
        check_lengths([16, 64, 128], 32)
