"""Sentences on the study: what several seeds, with regularizers as a factor, say of the comparison; and what one seed does not.

The study (`make study`) takes hours and is not part of a run. Its summary is quoted where it is there and belongs to the run;
until it is complete, the report says that it rests on one seed.
"""

from stages.project.schema import METHODS
from stages.report import latency, training
from stages.report.facts import PEFT, Facts
from stages.report.language import Language, sentence


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


def belongs(facts: Facts) -> bool:
    """Whether there is a study of this run's data, finished or not."""
    return state(facts) in ("unfinished", "finished")


def told(facts: Facts) -> bool:
    """Whether the study compares all methods without regularizers, with all its seeds, for this run's data."""
    compared = bool(facts.study) and all(f"none_{method}_verdict" in summary_of(facts) for method in PEFT)
    return compared and belongs(facts)


def practical_label(facts: Facts, words: Language, method: str) -> str:
    """The first cell of a method's row of this run: its name, and how it was trained where a second row follows."""
    return words.say("study.row_practical", label=words.label(method)) if told(facts) else words.label(method)


def row_label(facts: Facts, words: Language, method: str) -> str:
    """The first cell of a method's second row in the first table."""
    summary = summary_of(facts)
    size = {"seeds": summary[f"none_{method}_seeds"], "epochs": summary["conditions_epochs"]}
    return words.say("study.row", label=words.label(method), **size)


def row(facts: Facts, words: Language, method: str) -> tuple[str, str]:
    """Mean F1 over seeds without regularizers, and its difference from full fine-tuning, with intervals."""
    return estimate(facts, words, f"none_{method}"), "-" if method == "full" else minus_full(facts, words, f"none_{method}")


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


def progress(facts: Facts, words: Language) -> str:
    """How far the study is, in one sentence."""
    now = state(facts)
    numbers = {} if facts.study is None else {key: facts.study[f"cells_{key}"] for key in ("finished", "planned", "missing")}
    return words.say(f"study.state.{now}", **numbers)


def not_shown(facts: Facts, words: Language) -> str:
    """What the evidence at hand does not show: with the study, seeds are no longer among it."""
    texts = {"rows": f"{facts.data['train_rows']:,}", "device": facts.device, "threads": latency.threads(facts, words)}
    return sentence([words.say(f"study.not_shown.{'seeds' if told(facts) else 'one_seed'}", **texts), progress(facts, words)])


def picture(facts: Facts, words: Language) -> str:
    """The picture of the differences over seeds, before the others of its line, where there are some."""
    return f"{words.say('study.picture')} " if told(facts) else ""


def caption(facts: Facts, words: Language) -> str:
    """That the intervals of the rows over seeds are over seeds too, where there are such rows."""
    return words.say("study.caption") if told(facts) else ""


def treatment(facts: Facts, words: Language) -> str:
    """How alike the gradients at w and w + v are in each method, where the study trained with both and with this run's AWP."""
    awp = facts.params.awp
    if not awp.enabled or awp.box is not None or not belongs(facts):
        return ""
    summary = summary_of(facts)
    same = all(summary.get(f"conditions_awp_{key}") == getattr(awp, key) for key in ("epsilon", "target", "embeddings"))
    cosines = {method: summary.get(f"both_{method}_cosine") for method in METHODS}
    if not same or None in cosines.values():  # some are not finished
        return ""
    doses = _doses(summary, words) if summary["dose_complete"] else ""
    return words.say("study.treatment", doses=doses, **{method: f"{value:.2f}" for method, value in cosines.items()})


def _doses(summary: dict, words: Language) -> str:
    """What the two readings of epsilon do to full fine-tuning in short trainings."""
    found = {"off": "off", "norm": f"trainable_{summary['dose_variants_epsilon']:g}", "box": "box"}
    scores = {name: f"{summary[f'dose_full_{dose}_validation_f1']:.3f}" for name, dose in found.items()}
    scores["moved"] = moved(summary)
    return words.say("study.doses", rows=f"{summary['dose_rows']:,}", **scores)


def moved(summary: dict) -> str:
    """By how many percent of their norm the box lets weights move."""
    return f"{100 * summary['dose_box_moved']:.2g}"


def percent(summary: dict) -> str:
    """The confidence of the study's intervals."""
    return f"{100 * summary['confidence']:g}"


def summary_of(facts: Facts) -> dict:
    """The study's summary, in a run that has one."""
    assert facts.study is not None  # every caller has looked at `state`
    return facts.study


def estimate(facts: Facts, words: Language, key: str) -> str:
    """Mean F1 over seeds with its interval; `key` is what stands before it in the summary."""
    return words.interval(*(f"{summary_of(facts)[f'{key}_f1{end}']:.3f}" for end in ("", "_low", "_high")))


def minus_full(facts: Facts, words: Language, key: str) -> str:
    """The difference from full fine-tuning with its interval; `key` is what stands before it in the summary."""
    return signed(facts, words, f"{key}_minus_full")


def signed(facts: Facts, words: Language, key: str) -> str:
    """A number of the summary with its sign and its interval; `key` is its whole name."""
    return words.interval(*(f"{summary_of(facts)[f'{key}{end}']:+.3f}" for end in ("", "_low", "_high")))
