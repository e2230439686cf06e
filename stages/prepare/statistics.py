"""The content of metrics/data.json, which describes the prepared data. `dvc metrics show metrics/data.json` prints its numbers.

A *part* is a split (train, validation, test) or, with the embedded data, a transfer set (transfer_products, transfer_tweets).
Numbers are counts of rows unless the name says otherwise; a share is between 0 and 1. Keys, in this order:

- `warnings`: plain sentences, those that the stage printed; [] if there is nothing to say.
- `rows_read`, then `dropped_{rule}`: rows_read = all dropped + rows of the splits. Rules: `empty`; `near_tie` (embedded data
  only); `missing` (a row without text or label; only where data.csv.missing is drop); `conflicting`; `duplicate`;
  `in_other_split` (only if splits were given); `rare_class`; `limit`.
- `{part}_rows`, `{part}_majority_percent` (share of its largest class in percent), `{part}_truncated_share`,
  `{part}_unknown_token_share` (unknown tokens among the tokens that are not special, after truncation),
  `{part}_distinct_encodings` (different sequences of token ids after truncation; at most {part}_rows).
- `token_length_p50`, `_p95`, `_p99`, `_max` (tokens before truncation) and `truncated_percent`, over the three splits.
- `leaking_rows_after_truncation`: an object; `train_validation`, `train_test`, `validation_test`: rows of the second split whose
  text differs from every text of the first, but whose token ids, after truncation, are those of one of them.
- `transfer_{name}_rows_read`, `transfer_{name}_dropped_{rule}` (also `in_main`), ... : the same for each transfer set.
- `number_of_classes`: K. `plan` depends on this key alone of all, so that other class names do not run it again.
- `classes`: a list with one object per class, in the order of class indices: {"name": "negative", "train": 3552, ...}: its rows
  in each part. A list, so that data with many classes do not fill the table of `dvc metrics show` with columns.
- `rare_classes`: a list of {"name", "rows"}: the classes that data.rare_classes dropped or merged, and their rows after cleaning.
- `source`: where the rows come from: {"source": "csv", "path": "mine.csv", "files": [{"path", "sha256"}], "parameters": {...}}.
  `path` is data.csv.path, the data set of the Hub with its commit, or null; `files` are your own files (their copies, byte for
  byte, are what is read) or, for other sources, those of data/fetched; `parameters` are seed and those of `data` that count, by
  dotted name (columns, limit, ...).
- `outputs`: a list of {"path", "sha256"}: the files of texts written. metrics/provenance/train_*.json has the hashes of those
  that a training read, and so leads from a model to the files above.

Example, shortened:

    {"warnings": ["Classes with fewer than 5 rows in validation (1): 'spam' (4). F1 of so few is chance."],
     "rows_read": 240, "dropped_empty": 0, "dropped_conflicting": 0, "dropped_duplicate": 0, "dropped_rare_class": 0,
     "dropped_limit": 0, "train_rows": 168, "train_majority_percent": 50.0, "train_truncated_share": 0.0,
     "train_unknown_token_share": 0.0, "train_distinct_encodings": 168, ..., "token_length_p50": 14, ...,
     "truncated_percent": 1.2,
     "leaking_rows_after_truncation": {"train_validation": 0, "train_test": 0, "validation_test": 0},
     "number_of_classes": 2, "classes": [{"name": "negative", "train": 84, "validation": 12, "test": 24}, ...],
     "rare_classes": [],
     "source": {"source": "csv", "path": "examples/reviews.csv",
                "files": [{"path": "examples/reviews.csv", "sha256": "9f3c..."}],
                "parameters": {"seed": 13, "data.limit": 0, "data.csv.text_column": "text", ...}},
     "outputs": [{"path": "data/processed/train.arrow", "sha256": "b21e..."}, ...]}
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from stages.prepare.tokenizing import Encoded

PERCENTILES = (50, 95, 99)
RULES = {
    "empty": "empty",
    "missing": "without text or label",
    "near_tie": "near ties (data.neutral_margin)",
    "conflicting": "with two different labels",
    "duplicate": "duplicates",
    "in_other_split": "in another split too",
}


def row_statistics(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    """Return `{prefix}rows_read`, the number of rows in the source, and `{prefix}dropped_{rule}` for every rule.

    Rows that are not dropped are in the splits: rows read = rows dropped + rows of the splits.

    Args:
        counts: "read", then the rules in the order in which they are applied.
    """
    return {f"{prefix}{'rows_read' if key == 'read' else f'dropped_{key}'}": count for key, count in counts.items()}


def losses(counts: Mapping[str, int]) -> str:
    """Return in a sentence without its end how many rows cleaning dropped, and why.

    Args:
        counts: as for `row_statistics`.
    """
    dropped = {words: counts[rule] for rule, words in RULES.items() if counts.get(rule)}
    listed = ", ".join(f"{count:,} {words}" for words, count in dropped.items())
    return f"Cleaning dropped {sum(dropped.values()):,} of {counts['read']:,} rows: {listed}"


def class_rows(parts: Mapping[str, np.ndarray], names: Sequence[str]) -> list[dict]:
    """Return for each class its name and its rows in each part.

    Args:
        parts: class indices by part, each of shape (N,).
    """
    counts = {part: np.bincount(labels, minlength=len(names)) for part, labels in parts.items()}
    return [{"name": name, **{part: int(rows[k]) for part, rows in counts.items()}} for k, name in enumerate(names)]


def part_statistics(part: str, labels: np.ndarray, encoded: Encoded, max_length: int) -> dict[str, float]:
    """Return the numbers of one part: rows, share of the largest class, and what the tokenizer made of its texts.

    The share of the largest class is the accuracy of always predicting it.
    """
    return {
        f"{part}_rows": len(labels),
        f"{part}_majority_percent": 100 * float(np.bincount(labels).max() / len(labels)),
        f"{part}_truncated_share": float(np.mean(encoded.lengths > max_length)),
        f"{part}_unknown_token_share": encoded.unknown / max(encoded.tokens, 1),
        f"{part}_distinct_encodings": len(np.unique(encoded.digests)),
    }


def leaking_rows(digests: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Return for each pair of parts, "first_second", how many rows of the second have the token ids of a row of the first.

    No text is in two parts, so these are different texts that the model cannot tell apart.

    Args:
        digests: those of the token ids by part, each of shape (N,).
    """
    pairs = combinations(digests, 2)
    return {f"{first}_{second}": int(np.isin(digests[second], digests[first]).sum()) for first, second in pairs}


def length_statistics(prefix: str, lengths: np.ndarray, max_length: int) -> dict[str, float]:
    """Return percentiles of the untruncated lengths in tokens, their maximum, and the share that is truncated.

    A percentile is a length that occurs: the smallest that at least this share of the texts does not exceed.

    Args:
        lengths: tokens per text with special tokens, before truncation, shape (N,).
    """
    values = np.percentile(lengths, PERCENTILES, method="inverted_cdf")
    return {
        **{f"{prefix}token_length_p{p}": int(value) for p, value in zip(PERCENTILES, values, strict=True)},
        f"{prefix}token_length_max": int(lengths.max()),
        f"{prefix}truncated_percent": 100 * float(np.mean(lengths > max_length)),
    }
