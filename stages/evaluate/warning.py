"""What is printed first where a method did not learn: a comparison with it says nothing."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

from stages.evaluate.results import REFERENCE
from stages.presentation.labels import short_labels
from stages.presentation.learning import CLASSES, GUESSING, MAJORITY, shortcomings
from stages.presentation.titles import METHOD_LABELS

_MOST_NAMED = 5  # classes in one sentence
_CHANCE = {
    MAJORITY: ("majority", "always predicting the most frequent class"),
    GUESSING: ("stratified", "drawing classes at random with their frequency"),
}


def warning_text(
    details: Mapping[str, Mapping[str, Any]], baselines: Mapping[str, Mapping[str, float]], confidence: float, width: int
) -> str:
    """Return a paragraph for each method that did not learn (`stages.presentation.learning`) and a conclusion; "" if all did."""
    failed = {method: shortcomings(d) for method, d in details.items() if shortcomings(d)}
    if not failed:
        return ""
    paragraphs = [_said_of(method, details[method], why, baselines, confidence) for method, why in failed.items()]
    names = ", ".join(METHOD_LABELS[method] for method in failed)
    conclusion = f"Nothing can be concluded about {names}"
    if REFERENCE in failed and len(failed) < len(details):
        conclusion += ", nor about how the others compare with it"
    advice = "More rows or epochs, another learning rate, or train.class_weights: balanced may help."
    return "\n".join(fill(text, width) for text in [*paragraphs, f"{conclusion}. {advice}"])


def _said_of(
    method: str, d: Mapping[str, Any], why: list[str], baselines: Mapping[str, Mapping[str, float]], confidence: float
) -> str:
    name = METHOD_LABELS[method]
    start = name[0].upper() + name[1:]
    never = ""
    if CLASSES in why:
        shown = short_labels(d["never_predicted"], 24)[:_MOST_NAMED]
        more = len(d["never_predicted"]) - len(shown)
        never = f"It never predicts {len(d['never_predicted'])} of {d['classes']} classes: {', '.join(shown)}"
        never += f" and {more} more." if more else "."
    chance = next((_CHANCE[reason] for reason in why if reason in _CHANCE), None)
    if chance is None:
        return f"WARNING: {start} DID NOT LEARN EVERY CLASS. {never}"
    baseline, what = chance
    f1, (difference, low, high) = baselines[baseline]["f1"], (d[f"f1_minus_{baseline}{end}"] for end in ("", "_low", "_high"))
    verdict = "DID NOT LEARN" if difference <= 0 or never else "IS NOT SHOWN TO HAVE LEARNED"
    return (
        f"WARNING: {start} {verdict}. Its macro F1 of {d['f1']:.4f} is not measurably above {f1:.4f}, that of "
        f"{what} (difference {difference:+.4f}, {100 * confidence:g} % interval {low:+.4f} to {high:+.4f}). {never}"
    ).strip()
