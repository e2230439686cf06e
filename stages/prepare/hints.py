"""What a person should know about the data before looking at any score, in plain sentences.

Each is printed at the end of the stage and kept in metrics/data.json. Nothing is refused here: the numbers may be meant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stages.classifier.splits import SPLITS
from stages.prepare.labels import GARBLED
from stages.prepare.statistics import losses
from stages.texts.columns import short

# shares above which, and counts below which, something is said
UNKNOWN = 0.05  # of the tokens
TRUNCATED = 0.1  # of the texts
MERGED = 0.01  # of the different texts of a part, those that have the tokens of another
MAJORITY = 0.8  # of the training rows
DROPPED = 0.2  # of the rows read, because they are empty, repeated or contradictory
IN_OTHER_SPLIT = 0.01  # of the rows read
SHIFT = 0.2  # of the rows of a given split would have to change class to give it the shares of train
WORDS = 0.5  # of the texts, those that are one word or number
GARBLED_TEXTS = 0.01  # of the texts
TOLD = 0.8  # of the texts, those that contain the name of their own class
NAME = 3  # characters that a class name needs for that
FEW_ROWS = 5  # of a class in validation or test


@dataclass
class Looks:
    """What texts look like, counted while they pass: single words of ASCII characters, garbled characters, their own class.

    Args:
        names: class names.
    """

    names: Sequence[str]
    texts: int = 0
    words: int = 0
    word: str = ""
    garbled: int = 0
    garble: str = ""
    told: int = 0

    def watch(self, batches: Iterable[list[str]], labels: np.ndarray) -> Iterator[list[str]]:
        """Yield the batches as they are.

        Args:
            labels: class indices of all texts, shape (N,).
        """
        # "no" or "1" is in many texts by chance
        names = [name.casefold() if len(name) >= NAME else None for name in self.names]
        done = 0
        for batch in batches:
            for text, label in zip(batch, labels[done : done + len(batch)].tolist(), strict=True):
                name = names[label]
                if " " not in text and text.isascii():
                    self.words, self.word = self.words + 1, self.word or text
                if GARBLED.search(text):
                    self.garbled, self.garble = self.garbled + 1, self.garble or text
                if name is not None and name in text.casefold():
                    self.told += 1
            done += len(batch)
            self.texts += len(batch)
            yield batch

    def sentences(self) -> list[str]:
        """What was seen in more than a few texts."""
        found = []
        if self.words > WORDS * self.texts:
            found.append(
                f"{self.words / self.texts:.0%} of the texts are a single word or number, such as {short(self.word)}: "
                "is that the column of texts?"
            )
        if self.garbled > GARBLED_TEXTS * self.texts:
            found.append(
                f"{self.garbled:,} of {self.texts:,} texts contain characters of a wrong encoding, such as {short(self.garble)}: "
                "check data.csv.encoding, or save the file again from its original."
            )
        if self.told > TOLD * self.texts:
            found.append(
                f"{self.told / self.texts:.0%} of the texts contain the name of their own class, so there is nothing to learn: "
                "was the label written into the text?"
            )
        return found


def part_hints(metrics: Mapping, texts: Mapping[str, int], max_length: int) -> list[str]:
    """Say what the tokenizer did to the texts.

    Args:
        metrics: the content of metrics/data.json.
        texts: number of different texts by part.
    """
    found = []
    if unknown := _above(metrics, texts, "unknown_token_share", UNKNOWN):
        found.append(
            f"Unknown tokens: {unknown} (said above {UNKNOWN:.0%}). They all are one token to this encoder; choose one "
            "for the language and script of the texts (model.source)."
        )
    encodings = {part: metrics[f"{part}_distinct_encodings"] for part in texts}
    if same := [f"{n:,} in {part} become {encodings[part]:,}" for part, n in texts.items() if encodings[part] < (1 - MERGED) * n]:
        found.append(f"Different texts have the same tokens: {', '.join(same)}. The model cannot tell these apart.")
    if truncated := _above(metrics, texts, "truncated_share", TRUNCATED):
        found.append(
            f"Truncated texts: {truncated} (said above {TRUNCATED:.0%}). Only the first {max_length} tokens count; raise "
            "data.max_length if the encoder reads more."
        )
    pairs = {tuple(pair.split("_")): rows for pair, rows in metrics["leaking_rows_after_truncation"].items() if rows}
    if leaks := [f"{rows:,} rows of {second} with {first}" for (first, second), rows in pairs.items()]:
        found.append(
            f"Leakage: texts that differ but have the same first {max_length} tokens are in two splits: {', '.join(leaks)}. "
            "Scores on them measure memory; raise data.max_length or choose an encoder that tells them apart."
        )
    return found


def _above(metrics: Mapping, parts: Iterable[str], key: str, threshold: float) -> str:
    """List the parts whose share is above the threshold."""
    shares = {part: metrics[f"{part}_{key}"] for part in parts}
    return ", ".join(f"{share:.0%} in {part}" for part, share in shares.items() if share > threshold)


def row_hints(metrics: Mapping, counts: np.ndarray, names: Sequence[str], given: Sequence[str]) -> list[str]:
    """Say what is unusual about the rows of the three splits.

    Args:
        counts: rows by split and class, shape (3, K).
        given: the splits that the user gave.
    """
    found = []
    shares = counts / counts.sum(axis=1, keepdims=True)
    largest = int(shares[0].argmax())
    if shares[0, largest] >= MAJORITY:
        found.append(
            f"{shares[0, largest]:.0%} of the training rows are {short(names[largest])}, and a model that always says so has "
            "that accuracy: judge by macro F1, and try train.class_weights=balanced."
        )
    for split, rows in zip(SPLITS[1:], counts[1:], strict=True):
        few = [f"{short(name)} ({n})" for name, n in zip(names, rows, strict=True) if n < FEW_ROWS]
        if few:
            listed = ", ".join(few[:5]) + (", ..." if len(few) > 5 else "")
            found.append(f"Classes with fewer than {FEW_ROWS} rows in {split} ({len(few)}): {listed}. F1 of so few is chance.")
    for split in given:
        place = SPLITS.index(split)
        shift = np.abs(shares[place] - shares[0]) / 2
        if split != "train" and shift.sum() > SHIFT:
            k = int(shift.argmax())
            found.append(
                f"The classes have other shares in {split} than in train: {short(names[k])} is {shares[place, k]:.0%} there and "
                f"{shares[0, k]:.0%} in train."
            )
    return found + _losses(metrics)


def _losses(metrics: Mapping) -> list[str]:
    found, read = [], metrics["rows_read"]
    counts = {rule: metrics.get(f"dropped_{rule}", 0) for rule in ("empty", "missing", "conflicting", "duplicate")}
    if sum(counts.values()) > DROPPED * read:
        found.append(f"{losses({'read': read, **counts})}.")
    elsewhere = metrics.get("dropped_in_other_split", 0)
    if elsewhere > IN_OTHER_SPLIT * read:
        found.append(
            f"{elsewhere:,} rows have a text that is in another given split too; they were dropped, and it was kept in test, "
            "or else in validation."
        )
    return found
