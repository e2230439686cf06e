"""The regularizers as two factors of the study: what adding mixout, AWP or both changes in each method."""

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import Facts
from stages.report.language import Language
from stages.report.study import percent, signed, summary_of

# two conditions, and what stands before the method in the study's keys of the change from one to the other
CHANGES = (("none", "mixout", "none_mixout_"), ("awp", "both", "awp_both_"), ("none", "awp", "none_awp_"), ("none", "both", ""))


def table(facts: Facts, words: Language) -> str:
    """The change of mean F1 from one condition to another, by method; "" before two conditions can be compared."""
    summary, rows = summary_of(facts), []
    for before, after, prefix in CHANGES:
        keys = [f"change_{prefix}{method}" for method in (*METHODS, "head")]
        if any(key in summary for key in keys):
            change = words.say(
                "study.from_to", before=words.say(f"study.from.{before}"), after=words.say(f"study.condition.{after}")
            )
            rows.append((change, *(signed(facts, words, key) if key in summary else "-" for key in keys)))
    if not rows:
        return ""
    return f"{words.say('study.factors', percent=percent(summary))}\n\n{markdown_table(words.header('factors'), rows)}"


def alone(facts: Facts, words: Language) -> str:
    """What each of the two changes in full fine-tuning when it is the only one; "" before both are known."""
    keys = {name: f"change_none_{name}_full" for name in ("mixout", "awp")}
    if not all(key in summary_of(facts) for key in keys.values()):
        return ""
    return words.say("study.alone", **{name: signed(facts, words, key) for name, key in keys.items()})
