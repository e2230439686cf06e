"""The words by which a file or a row says which split it is for."""

SPLIT_WORDS = {name: name for name in ("train", "validation", "test")} | dict.fromkeys(("valid", "val", "dev"), "validation")
EXPECTED = "train, validation (or valid, val, dev) or test"


def split_of(word: str) -> str | None:
    """Return train, validation or test, in whatever case `word` is, or None if it is none of `SPLIT_WORDS`."""
    return SPLIT_WORDS.get(word.strip().lower())
