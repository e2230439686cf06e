"""The form in which texts are compared, trained on and predicted."""

import unicodedata


def normalise(text: str) -> str:
    """Return `text` in Unicode form NFC, with single spaces between words and none at either end."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def identity(text: str) -> str:
    """Return what two texts have in common if they count as the same text."""
    return normalise(text).casefold()
