"""The two languages of the report: the code chooses a sentence by its name, and words/{code}.yaml says it."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import yaml

WORDS = Path(__file__).with_name("words")
LANGUAGES = ("en", "es")


class Language:
    """The sentences of one language, by dotted names; both languages have the same names with the same `{fields}`.

    What is said depends on the facts alone and is chosen once for both languages. Numbers arrive as finished text, so that
    every report has the same digits.
    """

    def __init__(self, code: str):
        self.code = code
        self._sentences = sentences(code)

    def say(self, name: str, /, **values: object) -> str:
        """Return the sentence `name` with `values` in its fields.

        Raises:
            KeyError: there is no such sentence, or a field has no value.
        """
        return self._sentences[name].format(**values)

    def has(self, name: str) -> bool:
        return name in self._sentences

    def counted(self, name: str, count: int, /, **values: object) -> str:
        """Return the sentence `name`.one for a count of 1, otherwise `name`.other, with the count as `{count}`."""
        return self.say(f"{name}.{'one' if count == 1 else 'other'}", count=f"{count:,}", **values)

    def listed(self, parts: Sequence[str]) -> str:
        """Return "a", "a and b", or "a, b and c"."""
        if len(parts) < 2:
            return "".join(parts)
        return self.say("and", first=", ".join(parts[:-1]), last=parts[-1])

    def interval(self, value: str, low: str, high: str) -> str:
        """Return a value with its interval in brackets."""
        return self.say("interval", value=value, low=low, high=high)

    def label(self, arm: str) -> str:
        """The name of a method or arm in tables."""
        return self.say(f"label.{arm}")

    def the(self, arm: str) -> str:
        """The name of a method or arm as the subject of a sentence."""
        return self.say(f"the.{arm}")

    def header(self, name: str) -> list[str]:
        """The cells of a table's first row, which the sentence `header.{name}` gives between bars."""
        return [cell.strip() for cell in self.say(f"header.{name}").split("|")]


def begin(words: str) -> str:
    """`words` with a capital first letter."""
    return words[:1].upper() + words[1:]


def sentence(parts: Iterable[str]) -> str:
    """Join the parts that are not empty with spaces."""
    return " ".join(part for part in parts if part)


@cache
def sentences(code: str) -> dict[str, str]:
    """Return all sentences of a language by dotted name."""
    content = yaml.safe_load((WORDS / f"{code}.yaml").read_text(encoding="utf-8"))
    return dict(_leaves(content, ""))


def _leaves(content: dict, prefix: str) -> Iterable[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
