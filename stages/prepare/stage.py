"""Turn the raw texts into tokenized splits and describe them in metrics/data.json."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from stages.classifier.loading import describe_base_model
from stages.classifier.splits import SPLITS, describe_tokenizer, load_tokenizer
from stages.prepare.cleaning import choose
from stages.prepare.hints import Looks, part_hints, row_hints
from stages.prepare.labels import label_warnings
from stages.prepare.origin import describe_source
from stages.prepare.rare import choose_classes, rare_warning
from stages.prepare.rated import LABELS, MAIN_FILE, TRANSFER_FILES, read_rated
from stages.prepare.splitting import count_rows, limited, limited_main, split
from stages.prepare.statistics import class_rows, leaking_rows, length_statistics, losses, part_statistics, row_statistics
from stages.prepare.store import StoredRows
from stages.prepare.tokenizing import Encoded, check_model, write_tokenized
from stages.prepare.user_data import read_given
from stages.project.errors import UserError
from stages.project.files import replaced_folder, sha256_of, write_json
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS, PROCESSED, RAW, SCRATCH
from stages.project.schema import Params


class Corpus(NamedTuple):
    """All rows, before the classes to learn are chosen and sets are drawn.

    Attributes:
        rows: by name, "main" first, then each transfer set.
        kept: the indices of those that cleaning keeps, by name.
        counts: rows read, and dropped by each rule, by name.
        names: class names.
        splits: those that the main rows were given for.
        rare: the classes that were dropped or merged, and their rows.
    """

    rows: dict[str, StoredRows]
    kept: dict[str, np.ndarray]
    counts: dict[str, dict[str, int]]
    names: list[str]
    splits: tuple[str, ...]
    rare: dict[str, int]


class Selection(NamedTuple):
    """Some rows of a store, by ascending index, shape (N,)."""

    rows: StoredRows
    indices: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.rows.labels[self.indices]


def main() -> None:
    """Read, clean, split, tokenize, count, write; at the end say what a person should know about the data."""
    warnings: list[str] = []
    try:
        prepare(load_params(), warnings)
    finally:  # what was noticed may explain the fault
        for sentence in warnings:
            print(f"warning: {sentence}")


def prepare(params: Params, warnings: list[str]) -> None:
    """Write data/processed and metrics/data.json; add to `warnings` what is noticed on the way."""
    tokenizer = load_tokenizer()
    check_model(params.data.max_length, tokenizer, BASE_MODEL)
    encoded = {}
    SCRATCH.mkdir(parents=True, exist_ok=True)
    # on the disk of the checkout: /tmp may be in memory, which the store is meant to save
    with TemporaryDirectory(dir=SCRATCH, prefix="prepare-") as store, replaced_folder(PROCESSED) as folder:
        corpus = read_corpus(params, Path(store))
        if params.data.source != "package":
            found = np.bincount(corpus.rows["main"].labels, minlength=len(corpus.names))
            warnings += label_warnings(corpus.names, found, getattr(params.data, params.data.source).label_column)
        corpus = with_classes(corpus, params, warnings)
        # as soon as the classes are known: a base model that does not fit them should not wait for the trainings
        notes = [*describe_base_model(corpus.names, params.seed), *describe_tokenizer(tokenizer)]
        warnings += [f"{BASE_MODEL}: {note}" for note in notes]
        sets, looks = make_sets(corpus, params), Looks(corpus.names)
        for name, chosen in sets.items():
            texts = looks.watch(chosen.rows.texts(chosen.indices), chosen.labels)
            encoded[name] = write_tokenized(folder / f"{name}.arrow", texts, chosen.labels, tokenizer, params.data.max_length)
        write_json(folder / "labels.json", {"labels": corpus.names, "transfer": list(corpus.rows)[1:]})
    metrics = describe(corpus, sets, encoded, params)
    warnings += looks.sentences()
    different = {name: len(np.unique(chosen.rows.keys[chosen.indices])) for name, chosen in sets.items()}
    warnings += part_hints(metrics, different, params.data.max_length)
    counts = np.stack([np.bincount(sets[name].labels, minlength=len(corpus.names)) for name in SPLITS])
    warnings += row_hints(metrics, counts, corpus.names, corpus.splits)
    write_json(METRICS / "data.json", {"warnings": warnings, **metrics})
    print("rows: " + ", ".join(f"{name} {len(chosen.indices)}" for name, chosen in sets.items()))


def read_corpus(params: Params, store: Path) -> Corpus:
    """Return the cleaned texts of the source that the parameters name; they are stored in files in the folder `store`."""
    if params.data.source != "package":
        rows, splits, names = read_given(RAW, params.data, store / "main")
        kept, dropped = choose(rows.labels, rows.places, rows.keys, splits=splits)
        counts = {"read": rows.read, **rows.dropped, **dropped, "rare_class": 0}
        del counts["near_tie"]  # only ratings can be
        return Corpus({"main": rows}, {"main": kept}, {"main": counts}, names, splits, {})
    corpus = Corpus({}, {}, {}, LABELS, ("train",), {})
    for name, file in {"main": MAIN_FILE, **TRANSFER_FILES}.items():
        rows = StoredRows(store / name, read_rated(RAW / file, params.data.neutral_margin))
        main = None if name == "main" else corpus.rows["main"].keys[corpus.kept["main"]]
        corpus.rows[name] = rows
        corpus.kept[name], dropped = choose(rows.labels, rows.places, rows.keys, main)
        corpus.counts[name] = {"read": rows.read, **rows.dropped, **dropped}
    return corpus


def with_classes(corpus: Corpus, params: Params, warnings: list[str]) -> Corpus:
    """Return the corpus with the classes to learn only: rare ones are dropped or merged, as data.rare_classes says."""
    rows, kept, counts = corpus.rows["main"], corpus.kept["main"], corpus.counts["main"]
    by_split = count_rows(rows.labels[kept], rows.places[kept], len(corpus.names))
    cause = losses(counts) if 2 * len(kept) < counts["read"] else ""
    classes = choose_classes(corpus.names, by_split, params.data, corpus.splits, cause)
    if not classes.rare:
        return corpus
    warnings.append(rare_warning(classes, params.data.rare_classes, "test" in corpus.splits))
    rows.labels = classes.position[rows.labels]
    left = kept[rows.labels[kept] >= 0]
    counts["rare_class"] = len(kept) - len(left)
    return corpus._replace(kept={**corpus.kept, "main": left}, names=classes.names, rare=classes.rare)


def make_sets(corpus: Corpus, params: Params) -> dict[str, Selection]:
    """Return the rows of every output file, after `data.limit`: three splits of the main data, and the transfer sets."""
    sets: dict[str, Selection] = {}
    for name, rows in corpus.rows.items():
        kept = corpus.kept[name]
        labels, places = rows.labels[kept], rows.places[kept]
        if name == "main":
            used = kept[limited_main(labels, places, len(corpus.names), params.data, params.seed, corpus.splits)]
            parts = split(rows.labels[used], params.data, params.seed, rows.places[used], corpus.splits)
            sets |= {part: Selection(rows, used[indices]) for part, indices in parts.items()}
        elif len(kept):
            sets[f"transfer_{name}"] = Selection(rows, kept[limited(labels, params.data.limit, params.seed)])
        else:
            raise UserError(f"data.neutral_margin: {params.data.neutral_margin:g} leaves no text of the transfer set {name}")
    return sets


def describe(corpus: Corpus, sets: dict[str, Selection], encoded: dict[str, Encoded], params: Params) -> dict[str, Any]:
    """Return the content of metrics/data.json without its warnings, see statistics.py."""
    metrics: dict[str, Any] = {}
    for name, counts in corpus.counts.items():
        prefix, parts = ("", SPLITS) if name == "main" else (f"transfer_{name}_", (f"transfer_{name}",))
        unused = len(corpus.kept[name]) - sum(len(sets[part].indices) for part in parts)
        metrics |= row_statistics(prefix, {**counts, "limit": unused})
        for part in parts:
            metrics |= part_statistics(part, sets[part].labels, encoded[part], params.data.max_length)
        metrics |= length_statistics(prefix, np.concatenate([encoded[part].lengths for part in parts]), params.data.max_length)
        if name == "main":
            metrics["leaking_rows_after_truncation"] = leaking_rows({part: encoded[part].digests for part in parts})
    metrics["number_of_classes"] = len(corpus.names)
    metrics["classes"] = class_rows({part: chosen.labels for part, chosen in sets.items()}, corpus.names)
    metrics["rare_classes"] = [{"name": name, "rows": rows} for name, rows in corpus.rare.items()]
    metrics["source"] = describe_source(params)
    written = [PROCESSED / f"{name}.arrow" for name in sets]
    metrics["outputs"] = [{"path": path.as_posix(), "sha256": sha256_of(path)} for path in written]
    return metrics
