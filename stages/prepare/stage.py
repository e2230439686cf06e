"""Turn the raw texts into tokenized splits and describe them in metrics/data.json."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from stages.classifier.loading import describe_base_model
from stages.classifier.splits import SPLITS, load_tokenizer
from stages.prepare.cleaning import choose
from stages.prepare.rated import LABELS, MAIN_FILE, TRANSFER_FILES, read_rated
from stages.prepare.splitting import limited, split, strata
from stages.prepare.statistics import class_statistics, length_statistics, majority_statistics, row_statistics
from stages.prepare.store import StoredRows
from stages.prepare.tokenizing import check_model, write_tokenized
from stages.prepare.user_data import read_given
from stages.project.errors import UserError
from stages.project.files import replaced_folder, write_json
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS, PROCESSED, RAW, SCRATCH
from stages.project.schema import Params


class Corpus(NamedTuple):
    """Rows by name, "main" first, then each transfer set; which are kept; counts of dropped rows; class names; given splits."""

    rows: dict[str, StoredRows]
    kept: dict[str, np.ndarray]
    counts: dict[str, dict[str, int]]
    names: list[str]
    splits: tuple[str, ...] = ("train",)


class Selection(NamedTuple):
    """Some rows of a store, by ascending index, shape (N,)."""

    rows: StoredRows
    indices: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.rows.labels[self.indices]


def main() -> None:
    """Read, clean, split, tokenize, count, write."""
    params = load_params()
    tokenizer = load_tokenizer()
    check_model(params.data.max_length, tokenizer, BASE_MODEL)
    lengths = {}
    SCRATCH.mkdir(parents=True, exist_ok=True)
    # on the disk of the checkout: /tmp may be in memory, which the store is meant to save
    with TemporaryDirectory(dir=SCRATCH, prefix="prepare-") as store, replaced_folder(PROCESSED) as folder:
        corpus = read_corpus(params, Path(store))
        # as soon as the classes are known: a base model that does not fit them should not wait for the trainings
        for note in describe_base_model(corpus.names, params.seed):
            print(f"{BASE_MODEL}: {note}")
        sets = make_sets(corpus, params)
        for name, chosen in sets.items():
            texts = chosen.rows.texts(chosen.indices)
            lengths[name] = write_tokenized(folder / f"{name}.arrow", texts, chosen.labels, tokenizer, params.data.max_length)
        write_json(folder / "labels.json", {"labels": corpus.names, "transfer": list(corpus.rows)[1:]})
    write_json(METRICS / "data.json", describe(corpus, sets, lengths, params))
    print("rows: " + ", ".join(f"{name} {len(chosen.indices)}" for name, chosen in sets.items()))


def read_corpus(params: Params, store: Path) -> Corpus:
    """Return the cleaned texts of the source that the parameters name; they are stored in files in the folder `store`."""
    if params.data.source != "package":
        rows, splits, names = read_given(RAW, params.data, store / "main")
        kept, dropped = choose(rows.labels, rows.places, rows.keys, splits=splits)
        return Corpus({"main": rows}, {"main": kept}, {"main": {"read": rows.read, **rows.dropped, **dropped}}, names, splits)
    corpus = Corpus({}, {}, {}, LABELS)
    for name, file in {"main": MAIN_FILE, **TRANSFER_FILES}.items():
        rows = StoredRows(store / name, read_rated(RAW / file, params.data.neutral_margin))
        main = None if name == "main" else corpus.rows["main"].keys[corpus.kept["main"]]
        corpus.rows[name] = rows
        corpus.kept[name], dropped = choose(rows.labels, rows.places, rows.keys, main)
        corpus.counts[name] = {"read": rows.read, **rows.dropped, **dropped}
    return corpus


def make_sets(corpus: Corpus, params: Params) -> dict[str, Selection]:
    """Return the rows of every output file: three splits of the main data, and the transfer sets.

    `data.limit` is a stratified sample of what is left after cleaning: every class and every given split keeps its share.
    """
    sets: dict[str, Selection] = {}
    for name, rows in corpus.rows.items():
        kept = corpus.kept[name]
        groups = strata(rows.labels[kept], rows.places[kept], len(corpus.names))
        used = kept[limited(groups, params.data.limit, params.seed)]
        if name == "main":
            parts = split(rows.labels[used], corpus.names, params.data, params.seed, rows.places[used], corpus.splits)
            sets |= {part: Selection(rows, used[indices]) for part, indices in parts.items()}
        elif len(used):
            sets[f"transfer_{name}"] = Selection(rows, used)
        else:
            raise UserError(f"data.neutral_margin: {params.data.neutral_margin:g} leaves no text of the transfer set {name}")
    return sets


def describe(corpus: Corpus, sets: dict[str, Selection], lengths: dict[str, np.ndarray], params: Params) -> dict[str, float]:
    """Return the flat content of metrics/data.json: the main data without a prefix, each transfer set with its own."""
    metrics: dict[str, float] = {}
    for name, counts in corpus.counts.items():
        prefix, parts = ("", SPLITS) if name == "main" else (f"transfer_{name}_", (f"transfer_{name}",))
        unused = len(corpus.kept[name]) - sum(len(sets[part].indices) for part in parts)
        metrics |= row_statistics(prefix, {**counts, "limit": unused})
        for part in parts:
            metrics |= class_statistics(part, sets[part].labels, corpus.names)
            if params.data.source != "package":
                metrics |= majority_statistics(part, sets[part].labels)
        metrics |= length_statistics(prefix, np.concatenate([lengths[part] for part in parts]), params.data.max_length)
    return metrics
