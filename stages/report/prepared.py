"""Sentences on the data: where they come from, what was dropped, how the classes are distributed, how texts were tokenized."""

from textwrap import shorten

from stages.presentation.markdown import plain
from stages.presentation.markdown import table as markdown_table
from stages.report.facts import SPLITS, Facts
from stages.report.language import Language, begin, sentence

FEW_CLASSES = 5  # so many fit into a sentence
WARNING = 210  # characters of one that the report quotes: two lines


def warnings(facts: Facts, words: Language, most: int | None = None) -> str:
    """What the stage `prepare` warned of, word for word, `most` of it: near the top, for it can make every score worthless."""
    found = facts.data["warnings"]
    if not found:
        return ""
    items = [f"- {plain(text if most is None else shorten(text, WARNING, placeholder=' …'))}" for text in found[:most]]
    more = len(found) - len(items)
    return "\n".join(
        [words.counted("warnings.title", len(found)), *items, *([words.counted("warnings.more", more)] if more else [])]
    )


def network(facts: Facts, words: Language) -> str:
    """What must be downloaded besides the packages: it depends on where data and encoder come from."""
    sources = {facts.params.data.source, facts.params.model.source}
    kinds = [kind for kind in ("package", "hub") if kind in sources]
    return words.say(f"network.{'_and_'.join(kinds) or 'none'}")


def origin(facts: Facts, words: Language) -> str:
    """Where the texts and their labels come from."""
    data = facts.params.data
    if data.source == "package":
        return words.say("origin.package")
    if data.source == "csv":
        return words.say("origin.csv", path=plain(facts.data["source"]["path"]))
    return words.say("origin.hub", name=plain(data.hub.name), revision=data.hub.revision)


def rows(facts: Facts, words: Language) -> str:
    """How many rows were read, used, and dropped by each rule; the numbers add up."""
    data = facts.data
    used = sum(data[f"{split}_rows"] for split in SPLITS)
    dropped = {key.removeprefix("dropped_"): count for key, count in data.items() if key.startswith("dropped_") and count}
    parts = []
    for rule, count in dropped.items():
        name = f"dropped.{rule}" if words.has(f"dropped.{rule}.one") else "dropped.other_rule"
        parts.append(words.counted(name, count, margin=f"{facts.params.data.neutral_margin:g}", rule=plain(rule)))
    counts = {"read": f"{data['rows_read']:,}", "used": f"{used:,}"}
    if not parts:
        return words.say("rows.all", read=counts["read"])
    return words.say("rows.some", **counts, dropped=words.listed(parts))


def separation(facts: Facts, words: Language) -> str:
    """Why no text is in two splits, and how many are alike once they are truncated."""
    leaking = sum(facts.data["leaking_rows_after_truncation"].values())
    kind = "given" if "dropped_in_other_split" in facts.data else "cut"
    return sentence([words.say(f"separation.{kind}"), words.counted("separation.leaking", leaking) if leaking else ""])


def class_weights(facts: Facts, words: Language) -> str:
    return words.say("class_weights") if facts.params.train.class_weights == "balanced" else ""


def balance(facts: Facts, words: Language) -> str:
    """Rows of each split, and the share of every class in training for few classes, otherwise the two extremes."""
    classes, total = facts.data["classes"], facts.data["train_rows"]
    counts = {f"{split}_rows": f"{facts.data[f'{split}_rows']:,}" for split in SPLITS}
    if len(classes) <= FEW_CLASSES:
        shares = [
            words.say("balance.share", name=facts.class_labels[entry["name"]], percent=_percent(entry, total))
            for entry in classes
        ]
        return words.say("balance.few", shares=", ".join(shares), **counts)
    values: dict[str, str] = {}
    ordered = sorted(classes, key=lambda entry: -entry["train"])
    for place, entry in (("largest", ordered[0]), ("smallest", ordered[-1])):
        values |= {place: facts.class_labels[entry["name"]], f"{place}_share": _percent(entry, total)}
    return words.say("balance.many", classes=len(classes), **values, **counts)


def _percent(entry: dict, total: int) -> str:
    return share(100 * entry["train"] / total, digits=1)


def lengths(facts: Facts, words: Language) -> str:
    """Lengths in tokens, how much was truncated, and how much the tokenizer does not know."""
    data = facts.data
    numbers = {place: f"{data[f'token_length_{place}']:,}" for place in ("p50", "p95", "max")}
    unknown = max(data[f"{split}_unknown_token_share"] for split in SPLITS)
    percent = data["truncated_percent"]
    truncation = words.say("truncation.some", percent=share(percent)) if percent else words.say("truncation.none")
    known = words.say("unknown.some", percent=share(100 * unknown)) if unknown else words.say("unknown.none")
    return begin(words.say("lengths", **numbers, truncation=truncation, unknown=known))


def share(percent: float, digits: int = 2) -> str:
    """An amount with some decimals, or that it is less than their smallest: what is not 0 must not look like 0."""
    smallest = 10**-digits
    return f"{percent:,.{digits}f}" if percent >= smallest / 2 or not percent else f"< {smallest:g}"


def encodings(facts: Facts, words: Language) -> str:
    """A table of rows, distinct encodings, unknown tokens and truncated texts by split and transfer set."""
    parts = [*SPLITS, *(f"transfer_{name}" for name in facts.transfer)]
    lines = []
    for part in parts:
        known = f"split.{part}"
        numbers = [f"{facts.data[f'{part}_{key}']:,}" for key in ("rows", "distinct_encodings")]
        shares = [f"{share(100 * facts.data[f'{part}_{key}'])} %" for key in ("unknown_token_share", "truncated_share")]
        lines.append((words.say(known) if words.has(known) else plain(part), *numbers, *shares))
    return markdown_table(words.header("encodings"), lines)
