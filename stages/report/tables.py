"""The report's tables of results."""

from stages.presentation.markdown import plain
from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report import quality, study
from stages.report.facts import Facts
from stages.report.language import Language
from stages.report.prepared import share


def headline(facts: Facts, words: Language) -> str:
    """One row per method and baseline: what is given up and what is saved. It has no timings, so that README.md can quote it."""
    rows: list[tuple[str, ...]] = []
    for method in METHODS:
        details = facts.quality[method]
        costs = (
            f"{details['trainable_parameters']:,}",
            f"{share(details['trainable_percent'])} %",
            share(details["checkpoint_mib"]),
            f"{facts.memory[method]['peak_training_memory_mib']:,.0f}",
        )
        label = study.practical_label(facts, words, method)
        rows.append((label, _score(details, words), quality.difference(facts, words, method), *costs))
        if study.told(facts):
            rows.append((study.row_label(facts, words, method), *study.row(facts, words, method), *["-"] * 4))
    for name, scores in facts.baseline.items():
        rows.append((words.say(f"baseline.name.{name}"), _score(scores, words), *["-"] * 5))
    return markdown_table(words.header("headline"), rows)


def calibration(facts: Facts, words: Language) -> str:
    """How far the probabilities of every method, and of the baselines that have some, can be trusted."""
    named = [(words.label(method), facts.quality[method]) for method in METHODS]
    named += [(words.say(f"baseline.name.{name}"), scores) for name, scores in facts.baseline.items() if "ece" in scores]
    rows = [(label, *(f"{scores[key]:.4f}" for key in ("nll", "brier", "ece"))) for label, scores in named]
    return markdown_table(words.header("calibration"), rows)


def _score(scores: dict, words: Language) -> str:
    return words.interval(*(f"{scores[key]:.3f}" for key in ("f1", "f1_low", "f1_high")))


def parameters(facts: Facts, words: Language) -> str:
    """Trainable parameters in the body and the head, compared with full fine-tuning."""
    full = facts.quality["full"]["trainable_parameters"]
    rows = []
    for method in METHODS:
        counts = facts.quality[method]
        numbers = [counts[f"trainable_{part}parameters"] for part in ("body_", "head_", "")] + [counts["total_parameters"]]
        ratio = full / counts["trainable_parameters"]
        percent = f"{share(counts['trainable_percent'])} %"
        rows.append((words.label(method), *(f"{number:,}" for number in numbers), percent, f"1 : {ratio:,.0f}"))
    return markdown_table(words.header("parameters"), rows)


def scores(facts: Facts, words: Language) -> str:
    """Scores on the test set, macro F1 on the transfer sets, and McNemar's p, of every method and baseline."""
    keys = ["accuracy", "precision", "recall", "f1", *(f"transfer_{name}_f1" for name in facts.transfer)]
    names = [words.say(f"transfer.{name}") if words.has(f"transfer.{name}") else plain(name) for name in facts.transfer]
    rows = []
    for method in METHODS:
        values = [f"{facts.quality[method][key]:.4f}" for key in keys]
        p = f"{facts.quality[method]['mcnemar_p']:.3g}" if method in facts.compared else "-"
        rows.append((words.label(method), *values, p))
    for name, baseline in facts.baseline.items():
        values = [f"{baseline[key]:.4f}" if key in baseline else "-" for key in keys]
        rows.append((words.say(f"baseline.name.{name}"), *values, "-"))
    header = [*words.header("metrics"), *(words.say("transfer.column", name=name) for name in names), words.say("mcnemar.column")]
    return markdown_table(header, rows)
