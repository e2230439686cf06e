"""Sentences on the smaller series of the study: learning curves, doses of AWP, rates, places of LoRA, splits, a plain recipe."""

import re
from itertools import pairwise

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import PEFT, Facts
from stages.report.language import Language, sentence
from stages.report.study import belongs, minus_full, moved, percent, summary_of

MOST_LIKELY_RATIO = 10  # of LoRA's learning rate to full fine-tuning's (Schulman et al. 2025, "LoRA Without Regret")


def others(facts: Facts, words: Language) -> str:
    """A bullet for each that is finished: learning curves, learning rates, places of LoRA, other splits, the plain recipe."""
    if not belongs(facts):
        return ""
    said = (_curves, _rates, _targets, _splits, _crosscheck)
    return "\n".join(f"- {words_of}" for words_of in (part(facts, words) for part in said) if words_of)


def _curves(facts: Facts, words: Language) -> str:
    """Where the learning curves cross: the difference from full fine-tuning on every number of rows, without regularizers."""
    summary = summary_of(facts)
    sizes = sorted({int(key.split("_")[1]) for key in summary if re.fullmatch(r"rows_\d+_full_f1", key)})
    keys = {size: f"rows_{size}" for size in sizes} | {summary.get("conditions_rows", 0): "none"}
    said = []
    for method in (*PEFT, "head"):
        prefixes = {size: f"{prefix}_{method}_minus_full" for size, prefix in keys.items()}
        if sizes and all(prefix in summary for prefix in prefixes.values()):
            numbers = [(size, *(summary[f"{prefix}{end}"] for end in ("", "_low", "_high"))) for size, prefix in prefixes.items()]
            said.append(_curve(numbers, words, words.say("study.head") if method == "head" else words.label(method)))
    return words.say("study.curves", parts="; ".join(said), percent=percent(summary)) if said else ""


def _curve(numbers: list[tuple[int, float, float, float]], words: Language, label: str) -> str:
    """The differences (training rows, value, low, high) of a method, and between which those that are told from 0 change sign.

    The intervals are not corrected for being several, and the last one has a verdict elsewhere that may be undecided: only where
    they lie is said."""
    parts = ", ".join(
        f"{words.interval(f'{v:+.3f}', f'{low:+.3f}', f'{high:+.3f}')} [{size:,}]" for size, v, low, high in numbers
    )
    sure = [(size, low > 0) for size, _, low, high in numbers if low > 0 or high < 0]
    changes = [(one, other) for (one, ahead), (other, later) in pairwise(sure) if ahead != later]
    if changes:
        between = words.listed([words.say("study.between", low=f"{low:,}", high=f"{high:,}") for low, high in changes])
        return words.say("study.crosses", label=label, parts=parts, between=between)
    kind = "apart" if not sure else "ahead" if sure[0][1] else "behind"
    at = words.listed([f"{size:,}" for size, _ in sure])
    return words.say(f"study.no_crossing.{kind}", label=label, parts=parts, at=at)


def doses(facts: Facts, words: Language) -> str:
    """A table of what every epsilon of AWP does to each method, and to LoRA and the adapter where all weights move."""
    if not belongs(facts) or not summary_of(facts)["dose_complete"]:
        return ""
    summary = summary_of(facts)
    found = [match for key in summary if (match := re.fullmatch(r"dose_full_trainable_([\d.e-]+)_validation_f1", key))]
    epsilons = sorted((match[1] for match in found), key=float)
    rows = [(words.label(method), *_by_epsilon(summary, words, method, "trainable", epsilons)) for method in METHODS]
    for method in PEFT:
        name = words.say("study.dose_of", label=words.label(method))
        rows.append((name, *_by_epsilon(summary, words, method, "all", epsilons)))
    readings = {kind: f"{summary[f'dose_full_{kind}_validation_f1']:.3f}" for kind in ("rows", "exclude", "box")}
    size = {key: summary[f"dose_{key}"] for key in ("epochs", "seeds")} | {"texts": f"{summary['dose_rows']:,}"}
    share = {"share": f"{100 * summary['dose_box']:g}", "epsilon": f"{summary['dose_variants_epsilon']:g}"}
    about = words.say("study.dose", moved=moved(summary), **size, **share, **readings)
    return f"{about}\n\n{markdown_table((*words.header('dose'), *epsilons), rows)}"


def _by_epsilon(summary: dict, words: Language, method: str, target: str, epsilons: list[str]) -> list[str]:
    """Validation F1 without AWP and at every epsilon, each with its lowest and highest seed."""
    keys = [f"dose_{method}_off", *(f"dose_{method}_{target}_{epsilon}" for epsilon in epsilons)]
    ends = ("", "_min", "_max")
    return [words.interval(*(f"{summary[f'{key}_validation_f1{end}']:.3f}" for end in ends)) for key in keys]


def _rates(facts: Facts, words: Language) -> str:
    """The chosen rates without and with both regularizers, by how much each leads the next, and on how many seeds they rest."""
    summary = summary_of(facts)
    if not summary["rates_complete"]:
        return ""
    said = []
    for condition in ("none", "both"):
        ratios = {method: f"{summary[f'rate_{condition}_{method}_to_full']:g}" for method in PEFT}
        rates = {f"{method}_rate": f"{summary[f'rate_{condition}_{method}']:g}" for method in METHODS}
        leads = {f"{method}_lead": f"{summary[f'rate_{condition}_{method}_lead']:.4f}" for method in METHODS}
        about = {"condition": words.say(f"study.rates_in.{condition}"), "rows": f"{summary[f'rates_{condition}_rows']:,}"}
        said.append(words.say("study.rates_of", **ratios, **rates, **leads, **about))
    seeds = words.say("study.rates_seeds", seeds=summary["rates_seeds"], rule=MOST_LIKELY_RATIO)
    return sentence([words.say("study.rates", parts="; ".join(said)), seeds])


def _targets(facts: Facts, words: Language) -> str:
    summary = summary_of(facts)
    if not summary["targets_complete"]:
        return ""
    parts = []
    for target in ("feed_forward", "all"):
        key = f"target_{target}_minus_attention"
        low, high = summary[f"{key}_low"], summary[f"{key}_high"]
        word = words.say(f"study.{'behind' if high < 0 else 'ahead' if low > 0 else 'apart'}")
        numbers = words.interval(*(f"{summary[f'{key}{end}']:+.3f}" for end in ("", "_low", "_high")))
        parts.append(words.say("study.target", target=words.say(f"study.of.{target}"), numbers=numbers, word=word))
    places = ("attention", "feed_forward", "all")
    counts = {target: f"{summary[f'target_{target}_trainable']:,}" for target in places}
    ends = [words.say(f"study.of.{target}") for target in places if not summary[f"target_{target}_rate_inside_grid"]]
    edge = words.say("study.edge", places=words.listed(ends)) if ends else ""
    size = {"seeds": summary["targets_seeds"], "rows": f"{summary['targets_rows']:,}", "percent": percent(summary)}
    return words.say("study.targets", parts="; ".join(parts), edge=edge, **counts, **size)


def _splits(facts: Facts, words: Language) -> str:
    summary = summary_of(facts)
    if not summary["splits_complete"]:
        return ""
    parts = [f"{words.say(f'short.{method}')} {minus_full(facts, words, f'splits_none_{method}')}" for method in PEFT]
    return words.say("study.splits", parts=", ".join(parts), number=summary["splits_number"], rows=f"{summary['splits_rows']:,}")


def _crosscheck(facts: Facts, words: Language) -> str:
    summary = summary_of(facts)
    if "crosscheck_agrees" not in summary:
        return ""
    kind = "agrees" if summary["crosscheck_agrees"] else "differs"
    runs = {key: summary[f"crosscheck_{key}"] for key in ("plain_seeds", "study_seeds")}
    about = words.say("study.crosscheck.about", sd=f"{summary['crosscheck_sd']:.3f}", percent=percent(summary), **runs)
    values = {key: f"{summary[f'crosscheck_{key}']:.3f}" for key in ("study_f1", "plain_f1", "reach")}
    return words.say(f"study.crosscheck.{kind}", difference=f"{summary['crosscheck_difference']:+.3f}", about=about, **values)
