"""Gradient checkpointing is refused where the family cannot do it."""

import pytest

from stages.memory.recompute import recompute_activations
from stages.project.errors import UserError


def test_a_family_that_cannot_recompute_is_refused(tiny_bert):
    tiny_bert.config.model_type = "albert"
    with pytest.raises(UserError, match=r"gradient_checkpointing: models of family 'albert' .*, received true; set it to false"):
        recompute_activations(tiny_bert)
