"""python -m stages.prepare

Reads data/raw and the tokenizer in models/base; cleans, splits and tokenizes the texts. Writes data/processed (one Arrow
file per split and transfer set, labels.json) and metrics/data.json (rows, dropped rows, token lengths; for data of the user's
own also the share of the largest class).
"""

from typing import NamedTuple

import numpy as np

from stages.config import Params, load_params
from stages.errors import UserError
from stages.files import write_json
from stages.folders import replaced_folder
from stages.paths import BASE_MODEL, METRICS, PROCESSED, RAW
from stages.preparation.cleaning import clean, identity
from stages.preparation.given import read_given
from stages.preparation.rated import LABELS, MAIN_FILE, TRANSFER_FILES, read_rated
from stages.preparation.rows import Row
from stages.preparation.splitting import limited, split, strata
from stages.preparation.statistics import class_statistics, length_statistics, majority_statistics, row_statistics
from stages.preparation.tokenizing import check_model, write_tokenized
from stages.running import run_stage
from stages.tokenized import SPLITS, load_tokenizer


class Corpus(NamedTuple):
    """Cleaned rows by name, "main" first, then each transfer set; what was dropped from each; the class names; given splits."""

    rows: dict[str, list[Row]]
    counts: dict[str, dict[str, int]]
    names: list[str]
    splits: tuple[str, ...] = ("train",)


def main() -> None:
    """Read, clean, split, tokenize, count, write."""
    params = load_params()
    tokenizer = load_tokenizer()
    check_model(params.data.max_length, tokenizer, BASE_MODEL)
    corpus = read_corpus(params)
    sets = make_sets(corpus, params)
    lengths = {}
    with replaced_folder(PROCESSED) as folder:
        for name, rows in sets.items():
            lengths[name] = write_tokenized(folder / f"{name}.arrow", rows, tokenizer, params.data.max_length)
        write_json(folder / "labels.json", {"labels": corpus.names, "transfer": list(corpus.rows)[1:]})
    write_json(METRICS / "data.json", describe(corpus, sets, lengths, params))
    print("rows: " + ", ".join(f"{name} {len(rows)}" for name, rows in sets.items()))


def read_corpus(params: Params) -> Corpus:
    """Return the cleaned texts of the source that the parameters name."""
    if params.data.source != "package":
        rows, splits, names = read_given(RAW, params.data)
        kept, dropped = clean(rows, splits=splits)
        return Corpus({"main": kept}, {"main": {"read": len(rows), **dropped}}, names, splits)
    corpus = Corpus({}, {}, LABELS)
    known = None
    for name, file in {"main": MAIN_FILE, **TRANSFER_FILES}.items():
        rows = read_rated(RAW / file, params.data.neutral_margin)
        corpus.rows[name], dropped = clean(rows, main=known)
        corpus.counts[name] = {"read": len(rows), **dropped}
        known = known or {identity(row.text) for row in corpus.rows["main"]}
    return corpus


def make_sets(corpus: Corpus, params: Params) -> dict[str, list[Row]]:
    """Return the rows of every file to be written: three splits of the main data, and the transfer sets.

    `data.limit` is a stratified sample of what is left after cleaning: every class and every given split keeps its share.
    """
    sets = {}
    for name, rows in corpus.rows.items():
        groups = strata(labels_of(rows), places_of(rows), len(corpus.names))
        used = take(rows, limited(groups, params.data.limit, params.seed))
        if name == "main":
            parts = split(labels_of(used), corpus.names, params.data, params.seed, places_of(used), corpus.splits)
            sets |= {part: take(used, indices) for part, indices in parts.items()}
        elif used:
            sets[f"transfer_{name}"] = used
        else:
            raise UserError(f"data.neutral_margin: {params.data.neutral_margin:g} leaves no text of the transfer set {name}")
    return sets


def describe(corpus: Corpus, sets: dict[str, list[Row]], lengths: dict[str, np.ndarray], params: Params) -> dict[str, float]:
    """Return the flat content of metrics/data.json: the main data without a prefix, transfer sets with theirs."""
    metrics = {}
    for name, counts in corpus.counts.items():
        prefix, parts = ("", SPLITS) if name == "main" else (f"transfer_{name}_", (f"transfer_{name}",))
        unused = len(corpus.rows[name]) - sum(len(sets[part]) for part in parts)
        metrics |= row_statistics(prefix, {**counts, "limit": unused})
        for part in parts:
            metrics |= class_statistics(part, labels_of(sets[part]), corpus.names)
            if params.data.source != "package":
                metrics |= majority_statistics(part, labels_of(sets[part]))
        metrics |= length_statistics(prefix, np.concatenate([lengths[part] for part in parts]), params.data.max_length)
    return metrics


def places_of(rows: list[Row]) -> np.ndarray:
    return np.array([SPLITS.index(row.split) for row in rows], dtype=np.int64)


def labels_of(rows: list[Row]) -> np.ndarray:
    return np.array([row.label for row in rows], dtype=np.int64)


def take(rows: list[Row], indices: np.ndarray) -> list[Row]:
    return [rows[i] for i in indices]


if __name__ == "__main__":
    run_stage(main)
