"""Read a model card back."""

import re
from typing import Any

from huggingface_hub import ModelCard


def parse_card(text: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the front matter as the Hub's own library reads it, and the sections by heading; the first is ""."""
    card = ModelCard(text)
    assert str(card) == text  # nothing is lost in reading
    first, *others = re.split(r"^## (.+)\n", card.text, flags=re.MULTILINE)
    return card.data.to_dict(), {"": first.strip()} | {
        name: part.strip() for name, part in zip(others[::2], others[1::2], strict=True)
    }
