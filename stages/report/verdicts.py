"""What the study concludes: its verdicts below the first table, in the analysis, and the table of all conditions."""

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report import factors, quality
from stages.report.epochs import below_guessing
from stages.report.facts import PEFT, Facts
from stages.report.language import Language, begin, sentence
from stages.report.study import caveat, estimate, minus_full, percent, progress, signed, summary_of, told

CONDITIONS = ("none", "mixout", "awp", "both")
HEADLINE = ("none", "both")  # plain fine-tuning, and what the practical asks


def verdicts(facts: Facts, words: Language) -> str:
    """A bullet on the study, its tests and sizes; then one for each method: its difference from full fine-tuning over seeds."""
    if not told(facts):
        return ""
    bullets = [f"- {_tests(facts, words)}"]
    for method in PEFT:
        conditions = [condition for condition in HEADLINE if f"{condition}_{method}_verdict" in summary_of(facts)]
        said = "; ".join(_verdict(facts, words, condition, method) for condition in conditions)
        bullets.append(f"- {begin(words.say('study.verdict', the=words.the(method), said=said))}")
    return "\n".join(bullets)


def _verdict(facts: Facts, words: Language, condition: str, method: str) -> str:
    return words.say(f"study.in.{condition}", said=_difference(facts, words, f"{condition}_{method}"))


def _word(facts: Facts, words: Language, key: str) -> str:
    """The verdict in the report's language; `key` is what stands before it in the summary."""
    return _named(words, summary_of(facts)[f"{key}_verdict"])


def _named(words: Language, verdict: str) -> str:
    return words.say(f"study.word.{verdict.replace(' ', '_')}")


def _length(facts: Facts, words: Language) -> str:
    """How long this run's trainings are, and what that does to full fine-tuning with both regularizers.

    With AWP full fine-tuning rises above guessing later than the others, which is said where the epochs of this run show it, the
    study shows the handicap, and this run, which is longer and has both too, scores higher; elsewhere only the numbers are given.
    """
    summary, params = summary_of(facts), facts.params
    epochs = {"study_epochs": summary["conditions_epochs"], "epochs": params.train.epochs}
    if not (params.awp.enabled and params.mixout.enabled and "both_full_f1" in summary):
        return words.say("study.length", epochs=params.train.epochs)
    there, here = summary["both_full_f1"], facts.quality["full"]["f1"]
    late = there < min(here, summary["none_full_f1_low"]) and epochs["study_epochs"] < epochs["epochs"]
    late &= bool(below_guessing(facts, "full")) and not any(below_guessing(facts, method) for method in PEFT)
    kind = "late" if late else "beside"
    return words.say(f"study.full_with_both.{kind}", there=f"{there:.3f}", here=f"{here:.3f}", **epochs)


def _tests(facts: Facts, words: Language) -> str:
    summary = summary_of(facts)
    made, planned = summary["tests_made"], summary["tests_planned"]
    count = words.say("study.count" if made == planned else "study.so_far", made=made, planned=planned)
    size = {
        "rows": f"{summary['conditions_rows']:,}",
        "epochs": summary["conditions_epochs"],
        "seeds": summary["none_full_seeds"],
    }
    values = {"count": count, "margin": f"{summary['margin']:g}", "percent": percent(summary)}
    return words.say("study.tests", **size, **values)


def table(facts: Facts, words: Language) -> str:
    """All conditions: F1 of every method, then the differences and what is concluded; with the pictures."""
    if not told(facts):
        return progress(facts, words)
    summary, rows = summary_of(facts), []
    for condition in CONDITIONS:
        for method in (*METHODS, "head"):
            key = f"{condition}_{method}"
            if f"{key}_f1" in summary:
                shown = _word(facts, words, key) if f"{key}_verdict" in summary else "-"
                difference = minus_full(facts, words, key) if f"{key}_minus_full" in summary else "-"
                name = words.say("study.head") if method == "head" else words.label(method)
                cells = estimate(facts, words, key), f"{summary[f'{key}_f1_sd']:.4f}", difference, shown, _margin(summary, key)
                rows.append((words.say(f"study.condition.{condition}"), name, *cells))
    said = (_tests, _within, _checks, _length, progress)
    about = sentence(part(facts, words) for part in said)
    drawn = ["differences", *(series for series in ("rows", "dose") if summary[f"{series}_complete"])]
    pictures = "\n".join(f"![{name}](../plots/study/{name}.png)" for name in drawn)
    parts = (about, markdown_table(words.header("study"), rows), factors.table(facts, words), pictures)
    return "\n\n".join(part for part in parts if part)


def _margin(summary: dict, key: str) -> str:
    return f"±{summary[f'{key}_smallest_margin']:.3f}" if f"{key}_smallest_margin" in summary else "-"


def _within(_: Facts, words: Language) -> str:
    return words.say("study.within")


def _checks(facts: Facts, words: Language) -> str:
    """Where a test takes the variance over seeds as 0, and which verdicts it would change to pool that variance."""
    summary = summary_of(facts)
    pairs = [(c, m) for c in CONDITIONS for m in PEFT if f"{c}_{m}_verdict" in summary]
    places = {(c, m): words.say(f"study.where.{c}", label=words.label(m)) for c, m in pairs}
    zero = [place for (c, m), place in places.items() if summary[f"{c}_{m}_seed_variance_zero"]]
    said = [words.say("study.zero", where=words.listed(zero))] if zero else []
    other = []
    for (c, m), place in places.items():
        pooled = summary[f"{c}_{m}_verdict_pooled"]
        if pooled != summary[f"{c}_{m}_verdict"]:
            other.append(words.say("study.pooled_verdict", word=_named(words, pooled), where=place))
    kind = words.say("study.pooled.other", where=words.listed(other)) if other else words.say("study.pooled.same")
    return sentence([*said, kind])


def answer(facts: Facts, words: Language) -> str:
    """The bullets below the first table: the study's verdicts where there are some, else this run's intervals and a caveat."""
    if told(facts):
        return verdicts(facts, words)
    return "\n".join(part for part in (quality.answer(facts, words), caveat(facts, words)) if part)


def given_up(facts: Facts, words: Language) -> str:
    """What the comparison of this run shows; with the study, that this is one seed, and what it finds without and with both."""
    here = quality.conclusion(facts, words)
    if not told(facts):
        return sentence([here, quality.mcnemar(facts, words)])
    about = words.say("study.given_up", epochs=facts.params.train.epochs) if here else ""
    said = (f"{words.the(method)} {_difference(facts, words, f'none_{method}')}" for method in PEFT)
    return sentence([about, here, words.say("study.given_plain", parts="; ".join(said)), _change(facts, words)])


def _difference(facts: Facts, words: Language, key: str) -> str:
    return f"{minus_full(facts, words, key)}, {_word(facts, words, key)}"


def _change(facts: Facts, words: Language) -> str:
    """By how much both regularizers change the mean of each method and its difference from full, and whether that changes sign.

    A change of sign is shown where the intervals without and with both lie on opposite sides of 0, for every method; else it may
    be one of the means only.
    """
    summary = summary_of(facts)
    if not all(f"{condition}_{method}_verdict" in summary for condition in HEADLINE for method in PEFT):
        return ""
    changes = {method: signed(facts, words, f"change_{method}") for method in METHODS}
    more = {f"{method}_more": signed(facts, words, f"interaction_{method}") for method in PEFT}
    kinds = {"shown": ("_low", "_high"), "means": ("", "")}
    turned = next((kind for kind, ends in kinds.items() if _turns(summary, *ends)), None)
    said = f"{words.say(f'study.turned.{turned}') if turned else ''}{factors.alone(facts, words)}"
    return words.say("study.change", turned=said, percent=percent(summary), **changes, **more)


def _turns(summary: dict, low: str, high: str) -> bool:
    """Whether for every method one of the two differences is wholly below 0 and the other above, the same one for all."""
    without, with_both = ([summary[f"{c}_{m}_minus_full{end}"] for m in PEFT for end in (low, high)] for c in HEADLINE)
    return max(without) < 0 < min(with_both) or max(with_both) < 0 < min(without)
