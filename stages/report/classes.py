"""What the methods do with single classes: confusion matrices and classification reports, however many classes there are."""

import re

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from stages.classifier.confusions import most_confused
from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import SPLITS, Facts
from stages.report.language import Language, begin

SIDE_BY_SIDE = 3  # the matrices of so many classes fit beside each other in one table
LISTED, WORST = 5, 3  # so many have a row each in the report's classification report; of more, the worst ones have
MANY = 12  # more classes are not listed all, and a matrix of them is not readable as a table
SHOWN = 10  # of many classes, the largest and the worst
PAIRS, ALL_PAIRS = 3, 10  # the most confused pairs in the report, and in the details
AVERAGES = ("macro", "weighted")


def confusion(facts: Facts, words: Language) -> str:
    """The matrices of counts on the test set beside each other for few classes, otherwise the most confused pairs."""
    names, labels = facts.classes, facts.class_labels
    if len(names) > SIDE_BY_SIDE:
        return confused_pairs(facts, words, PAIRS)
    columns = [f"{words.say(f'short.{method}')}: {labels[name]}" for method in METHODS for name in names]
    counts = {method: _counts(facts, method) for method in METHODS}
    rows = []
    for actual in names:
        cells = (f"{counts[method].loc[actual, predicted]:,}" for method in METHODS for predicted in names)
        rows.append((labels[actual], *cells))
    return f"{words.say('confusion.few')}\n\n{markdown_table((words.say('confusion.actual'), *columns), rows)}"


def confused_pairs(facts: Facts, words: Language, most: int = ALL_PAIRS) -> str:
    """The pairs (actual, predicted) that the methods confuse most, by the sum over the methods; equal sums in order of class."""
    names, labels = facts.classes, facts.class_labels
    counts = {method: _counts(facts, method).to_numpy() for method in METHODS}
    pairs = most_confused(sum(counts.values(), np.zeros((len(names), len(names)), dtype=int)), most)
    if not pairs:
        return words.say("confusion.none")
    rows = [
        (labels[names[pair.actual]], labels[names[pair.predicted]], *(f"{counts[method][pair[:2]]:,}" for method in METHODS))
        for pair in pairs
    ]
    header = (*words.header("pairs"), *(words.label(method) for method in METHODS))
    return f"{words.counted('confusion.pairs', len(rows))}\n\n{markdown_table(header, rows)}"


def confusion_tables(facts: Facts, words: Language) -> str:
    """The matrix of every method for up to `MANY` classes, otherwise the most confused pairs."""
    names, labels = facts.classes, facts.class_labels
    if len(names) > MANY:
        return confused_pairs(facts, words)
    header = [words.say("confusion.predicted", name=labels[name]) for name in names]
    tables = []
    for method in METHODS:
        counts = _counts(facts, method)
        rows = [(words.say("confusion.true", name=labels[name]), *(f"{count:,}" for count in counts.loc[name])) for name in names]
        tables.append(markdown_table((begin(words.label(method)), *header), rows))
    return "\n\n".join(tables)


def _counts(facts: Facts, method: str) -> pd.DataFrame:
    """The number of test texts by actual (rows) and predicted class."""
    pairs, names = facts.confusion[method], facts.classes
    return pd.crosstab(pairs["actual"], pairs["predicted"]).reindex(index=names, columns=names, fill_value=0)


def classification(facts: Facts, words: Language) -> str:
    """scikit-learn's classification report of the three methods beside each other; of more classes the worst."""
    reports = {method: _rows(facts.confusion[method], facts.classes) for method in METHODS}
    names, note = facts.classes, words.say("classification.all")
    if len(names) > LISTED:
        names = worst(facts)[:WORST]
        note = words.say("classification.worst", shown=len(names), classes=len(facts.classes))
    places = [facts.classes.index(name) for name in names]
    rows = [(facts.class_labels[name], *_cells(reports, place)) for name, place in zip(names, places, strict=True)]
    rows += [(words.say(f"average.{average}"), *_cells(reports, average)) for average in ("accuracy", *AVERAGES)]
    first, *others = words.header("scores")
    scores = [cell for method in METHODS for cell in (f"{words.say(f'short.{method}')}: {first}", *others)]
    table = markdown_table((*words.header("classification"), *scores), rows)
    return f"{note}\n\n{table}"


def _rows(pairs: pd.DataFrame, names: list[str]) -> dict[int | str, tuple]:
    """The rows of scikit-learn's report: (precision, recall, F1, texts) by the place of a class, and of each average.

    Not by name, as its own dictionary is: a class may be called "accuracy".
    """
    actual, predicted = pairs["actual"], pairs["predicted"]
    by_class = precision_recall_fscore_support(actual, predicted, labels=names, zero_division=0)
    rows: dict[int | str, tuple] = dict(enumerate(zip(*by_class, strict=True)))
    rows["accuracy"] = (None, None, float((actual == predicted).mean()), len(pairs))
    for average in AVERAGES:
        scores = precision_recall_fscore_support(actual, predicted, labels=names, average=average, zero_division=0)
        rows[average] = (*scores[:3], len(pairs))
    return rows


def _cells(reports: dict[str, dict], row: int | str) -> list[str]:
    scores = ["" if score is None else f"{score:.4f}" for method in METHODS for score in reports[method][row][:3]]
    return [f"{reports['full'][row][3]:,}", *scores]


def worst(facts: Facts) -> list[str]:
    """All class names, from the lowest to the highest mean F1 of the methods."""
    mean = {name: sum(facts.quality[method]["f1_by_class"][name] for method in METHODS) for name in facts.classes}
    return sorted(mean, key=lambda name: mean[name])


def sizes_and_scores(facts: Facts, words: Language) -> str:
    """Rows of each split and F1 of each method by class; of many classes the ten largest and the ten worst."""
    entries = {entry["name"]: entry for entry in facts.data["classes"]}
    if len(entries) <= MANY:
        return _class_table(facts, words, list(entries), entries)
    largest = sorted(entries, key=lambda name: -entries[name]["train"])[:SHOWN]
    tables = []
    for kind, names in (("largest", largest), ("worst", worst(facts)[:SHOWN])):
        tables += [words.say(f"classes.{kind}", shown=SHOWN, classes=len(entries)), _class_table(facts, words, names, entries)]
    return "\n\n".join(tables)


def _class_table(facts: Facts, words: Language, names: list[str], entries: dict[str, dict]) -> str:
    rows = []
    for name in names:
        counts = (f"{entries[name][split]:,}" for split in SPLITS)
        rows.append(
            (facts.class_labels[name], *counts, *(f"{facts.quality[method]['f1_by_class'][name]:.4f}" for method in METHODS))
        )
    return markdown_table((*words.header("classes"), *(f"F1, {words.label(method)}" for method in METHODS)), rows)


def reports(facts: Facts, words: Language) -> str:
    """The three classification reports as scikit-learn prints them."""
    longest = max((len(run) for text in facts.reports.values() for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)  # a class name may contain one
    return "\n\n".join(f"{fence}\n{facts.reports[method].rstrip()}\n{fence}" for method in METHODS)
