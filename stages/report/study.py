"""Sentences on the study: what several seeds, with regularizers as a factor, say of the comparison; and what one seed does not.

The study (`make study`) takes hours and is not part of a run. Its summary is quoted where it is there and belongs to the run;
until it is complete, the report says that it rests on one seed.
"""

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report import latency, quality, training
from stages.report.facts import PEFT, Facts
from stages.report.language import Language, begin, sentence

CONDITIONS = ("none", "mixout", "awp", "both")


def state(facts: Facts) -> str:
    """Whether the study is absent ("none"), belongs to another run ("elsewhere"), is "unfinished", or "finished"."""
    summary = facts.study
    if summary is None:
        return "none"
    read = facts.provenance["train_full"]["inputs"]
    same = {"train_sha256": read["data/processed/train.arrow"], "base_sha256": read["models/base"]}
    same |= {f"peft_{key}": value for key, value in facts.params.peft.model_dump().items()}
    if any(summary.get(key) != value for key, value in same.items()):
        return "elsewhere"
    return "finished" if summary["complete"] else "unfinished"


def told(facts: Facts) -> bool:
    """Whether the study compares all methods without regularizers, with all its seeds, for this run's data."""
    compared = bool(facts.study) and all(f"none_{method}_verdict" in summary_of(facts) for method in PEFT)
    return compared and state(facts) in ("unfinished", "finished")


def practical_label(facts: Facts, words: Language, method: str) -> str:
    """The first cell of a method's row of this run: its name, and how it was trained where a second row follows."""
    return words.say("study.row_practical", label=words.label(method)) if told(facts) else words.label(method)


def row_label(facts: Facts, words: Language, method: str) -> str:
    """The first cell of a method's second row in the first table."""
    return words.say("study.row", label=words.label(method), seeds=summary_of(facts)[f"none_{method}_seeds"])


def row(facts: Facts, words: Language, method: str) -> tuple[str, str]:
    """Mean F1 over seeds without regularizers, and its difference from full fine-tuning, with intervals."""
    return _f1(facts, words, f"none_{method}"), "-" if method == "full" else minus_full(facts, words, f"none_{method}")


def caveat(facts: Facts, words: Language) -> str:
    """One bullet on what the comparison of this run rests on, as long as no study tells more; nothing without comparison."""
    if not facts.compared or told(facts):
        return ""
    awp = ""
    if facts.params.awp.enabled:
        counts = {method: f"{facts.quality[method]['trainable_parameters']:,}" for method in METHODS}
        step = max(facts.training[method]["awp_relative_step_mean"] for method in METHODS)
        awp = words.say("study.not_one_treatment", step=f"{100 * step:.2g}", **counts)
    listed = training.gains(facts, words)
    gained = words.say("study.gained", gains=listed, rows=f"{facts.data['validation_rows']:,}") if listed else ""
    return "- " + sentence([words.say("study.one_seed"), awp, gained])


def verdicts(facts: Facts, words: Language) -> str:
    """A bullet for each method: its difference from full fine-tuning trained the same way, over seeds; one on tests and sizes."""
    if not told(facts):
        return ""
    bullets = []
    for method in PEFT:
        conditions = [condition for condition in ("none", "both") if f"{condition}_{method}_verdict" in summary_of(facts)]
        said = "; ".join(_verdict(facts, words, condition, method) for condition in conditions)
        bullets.append(f"- {begin(words.say('study.verdict', the=words.the(method), said=said))}")
    return "\n".join([*bullets, f"- {sentence([_tests(facts, words), _length(facts, words)])}"])


def _verdict(facts: Facts, words: Language, condition: str, method: str) -> str:
    key = f"{condition}_{method}"
    word = words.say(f"study.word.{summary_of(facts)[f'{key}_verdict'].replace(' ', '_')}")
    return words.say(f"study.in.{condition}", word=word, difference=minus_full(facts, words, key))


def _length(facts: Facts, words: Language) -> str:
    """How long the study's trainings are beside this run's, and what that does to full fine-tuning with both regularizers.

    With AWP full fine-tuning leaves chance later than the others. Where the study shows the handicap and this run, which is
    longer and has both too, scores higher, the gap depends on the length; elsewhere only the numbers are given.
    """
    summary, params = summary_of(facts), facts.params
    epochs = {"study_epochs": summary["conditions_epochs"], "epochs": params.train.epochs}
    said = [words.say("study.length", rows=f"{summary['conditions_rows']:,}", **epochs)]
    if params.awp.enabled and params.mixout.enabled and "both_full_f1" in summary:
        there, here = summary["both_full_f1"], facts.quality["full"]["f1"]
        late = there < min(here, summary["none_full_f1_low"]) and epochs["study_epochs"] < epochs["epochs"]
        kind = "late" if late else "beside"
        said.append(words.say(f"study.full_with_both.{kind}", there=f"{there:.3f}", here=f"{here:.3f}"))
    return sentence(said)


def _tests(facts: Facts, words: Language) -> str:
    summary = summary_of(facts)
    made, planned = summary["tests_made"], summary["tests_planned"]
    count = words.say("study.count" if made == planned else "study.so_far", made=made, planned=planned)
    values = {"count": count, "margin": f"{summary['margin']:g}", "seeds": summary["none_full_seeds"]}
    return words.say("study.tests", percent=f"{100 * summary['confidence']:g}", **values)


def progress(facts: Facts, words: Language) -> str:
    """How far the study is, in one sentence."""
    now = state(facts)
    numbers = {} if facts.study is None else {key: facts.study[f"cells_{key}"] for key in ("finished", "planned", "missing")}
    return words.say(f"study.state.{now}", **numbers)


def not_shown(facts: Facts, words: Language) -> str:
    """What the evidence at hand does not show: with the study, seeds are no longer among it."""
    texts = {"rows": f"{facts.data['train_rows']:,}", "device": facts.device, "threads": latency.threads(facts, words)}
    return sentence([words.say(f"study.not_shown.{'seeds' if told(facts) else 'one_seed'}", **texts), progress(facts, words)])


def table(facts: Facts, words: Language) -> str:
    """All conditions: F1 of every method, then the differences and what is concluded; with the pictures."""
    if not told(facts):
        return progress(facts, words)
    summary, rows = summary_of(facts), []
    for condition in CONDITIONS:
        for method in (*METHODS, "head"):
            key = f"{condition}_{method}"
            if f"{key}_f1" in summary:
                word = summary.get(f"{key}_verdict")
                shown = words.say(f"study.word.{word.replace(' ', '_')}") if word else "-"
                difference = minus_full(facts, words, key) if f"{key}_minus_full" in summary else "-"
                name = words.say("study.head") if method == "head" else words.label(method)
                spread = f"{summary[f'{key}_f1_sd']:.4f}"
                rows.append((words.say(f"study.condition.{condition}"), name, _f1(facts, words, key), spread, difference, shown))
    about = sentence([_tests(facts, words), _length(facts, words), progress(facts, words)])
    pictures = "\n".join(f"![{name}](../plots/study/{name}.png)" for name in ("differences", "rows", "dose"))
    return f"{about}\n\n{markdown_table(words.header('study'), rows)}\n\n{pictures}"


def answer(facts: Facts, words: Language) -> str:
    """The bullets below the first table: the study's verdicts where there are some, else this run's intervals and a caveat."""
    if told(facts):
        return verdicts(facts, words)
    return "\n".join(part for part in (quality.answer(facts, words), caveat(facts, words)) if part)


def given_up(facts: Facts, words: Language) -> str:
    """What the comparison shows: that of the study where there is one, which one seed must not contradict, else this run's."""
    if told(facts):
        return words.say("study.given_up")
    return sentence([quality.conclusion(facts, words), quality.mcnemar(facts, words)])


def treatment(facts: Facts, words: Language) -> str:
    """How alike the gradients at w and w + v are in each method, where the study measured it at this run's epsilon."""
    if not facts.params.awp.enabled or state(facts) not in ("unfinished", "finished"):
        return ""
    epsilon = f"{facts.params.awp.epsilon:g}"
    cosines = {method: summary_of(facts).get(f"dose_{method}_trainable_{epsilon}_cosine") for method in METHODS}
    if None in cosines.values():
        return ""
    return words.say("study.treatment", epsilon=epsilon, **{method: f"{value:.2f}" for method, value in cosines.items()})


def summary_of(facts: Facts) -> dict:
    """The study's summary, in a run that has one."""
    assert facts.study is not None  # every caller has looked at `state`
    return facts.study


def _f1(facts: Facts, words: Language, key: str) -> str:
    return words.interval(*(f"{summary_of(facts)[f'{key}_f1{end}']:.3f}" for end in ("", "_low", "_high")))


def minus_full(facts: Facts, words: Language, key: str) -> str:
    """The difference from full fine-tuning with its interval; `key` is what stands before it in the summary."""
    return words.interval(*(f"{summary_of(facts)[f'{key}_minus_full{end}']:+.3f}" for end in ("", "_low", "_high")))
