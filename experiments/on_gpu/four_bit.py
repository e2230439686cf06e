"""Whether 4-bit weights can be measured."""

from functools import cache

from stages.classifier.four_bit import NAME, check_four_bit
from stages.project.errors import UserError


@cache
def is_installed() -> bool:
    """Whether the package for nf4 is here; where it is not, it is said once, and nf4 is left out."""
    try:
        check_four_bit(NAME)
    except UserError as error:
        print(f"nf4 is left out: {error}", flush=True)
        return False
    return True
