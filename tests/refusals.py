"""What a refusal must be: a `UserError` in one line."""

from collections.abc import Callable

import pytest

from stages.project.errors import UserError


def refused(call: Callable, *arguments) -> str:
    """Call `call`, which must refuse, and return its message."""
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)
