"""Sentences on the scores: who learned, how the methods compare with full fine-tuning, and what limits the comparison."""

from stages.presentation.learning import CLASSES, GUESSING, MAJORITY
from stages.presentation.markdown import plain
from stages.project.schema import METHODS
from stages.report.facts import PEFT, Facts
from stages.report.language import Language, begin, sentence
from stages.report.prepared import share

NAMED_CLASSES = 3  # so many that a method never predicts are named


def not_learned(facts: Facts, words: Language) -> str:
    """What stands first where a method did not learn: why, and that nothing is concluded about it; otherwise nothing."""
    alike: dict[tuple[str, str], list[str]] = {}  # methods that failed in the same way are told together
    for method, reasons in facts.failed.items():
        # what does not beat the most frequent class need not be compared with guessing too
        told = [reason for reason in reasons if not (reason == GUESSING and MAJORITY in reasons)]
        why = sentence(_why(facts, words, method, reason) for reason in told)
        alike.setdefault((_verdict(facts, method), why), []).append(words.the(method))
    items = []
    for (verdict, why), methods in alike.items():
        names = words.listed(methods)
        number = "one" if len(methods) == 1 else "other"
        items.append(f"- {words.say(f'failed.{verdict}.{number}', the=names, The=begin(names), why=why)}")
    if not items:
        return ""
    everything = "full" in facts.failed
    return "\n".join([words.say("failed.title"), *items, f"- {words.say('failed.reference' if everything else 'failed.others')}"])


def _verdict(facts: Facts, method: str) -> str:
    """Whether a method did not learn, has learned some of the classes only, or may have learned, though that is not shown."""
    details, reasons = facts.quality[method], facts.failed[method]
    if reasons == [CLASSES]:
        return "in_part"
    baseline = "majority" if MAJORITY in reasons else "stratified"
    return "not_at_all" if CLASSES in reasons or details[f"f1_minus_{baseline}"] <= 0 else "not_shown"


def _why(facts: Facts, words: Language, method: str, reason: str) -> str:
    details = facts.quality[method]
    if reason == CLASSES:
        missing = details["never_predicted"]
        if len(missing) > NAMED_CLASSES:
            return words.say("failed.many_classes", count=len(missing), classes=details["classes"])
        named = ", ".join(words.say("class", name=facts.class_labels[name]) for name in missing)
        return words.counted("failed.classes", len(missing), named=named, classes=details["classes"])
    name = {MAJORITY: "majority", GUESSING: "stratified"}[reason]
    digits = _digits(details, f"f1_minus_{name}")
    low, high = (f"{details[f'f1_minus_{name}_{end}']:+.{digits}f}" for end in ("low", "high"))
    return words.say(f"failed.{name}", f1=f"{details['f1']:.3f}", base=f"{facts.baseline[name]['f1']:.3f}", low=low, high=high)


def answer(facts: Facts, words: Language) -> str:
    """One bullet for each method that is compared with full fine-tuning."""
    return "\n".join(f"- {begin(against_full(facts, words, method))}" for method in facts.compared)


def against_full(facts: Facts, words: Language, method: str) -> str:
    """Whether the paired interval of the F1 difference excludes 0, and on which side."""
    quality, outcome = facts.quality[method], _outcome(facts, method)
    difference, low, high = (quality[f"f1_minus_full{end}"] for end in ("", "_low", "_high"))
    size = difference if outcome == "open" else abs(difference)
    digits = _digits(quality, "f1_minus_full")
    numbers = {"low": f"{low:+.{digits}f}", "high": f"{high:+.{digits}f}", "percent": _confidence(facts)}
    numbers["size"] = f"{size:+.{digits}f}" if outcome == "open" else f"{size:.{digits}f}"
    return words.say(f"against_full.{outcome}", the=words.the(method), **numbers)


def _outcome(facts: Facts, method: str) -> str:
    """Where the paired interval of the F1 difference from full fine-tuning lies."""
    low, high = (facts.quality[method][f"f1_minus_full_{end}"] for end in ("low", "high"))
    return "below" if high < 0 else "above" if low > 0 else "same" if low == high == 0 else "open"


def conclusion(facts: Facts, words: Language) -> str:
    """What the comparisons show, and which loss they do not exclude."""
    found: dict[str, list[str]] = {}
    for method in facts.compared:
        found.setdefault(_outcome(facts, method), []).append(method)
    said = []
    for outcome in ("below", "above", "open"):
        if methods := found.get(outcome):
            loss = -min(facts.quality[method]["f1_minus_full_low"] for method in methods)
            listed = words.listed([words.the(method) for method in methods])
            said.append(words.say(f"conclusion.{outcome}", methods=listed, loss=f"{max(loss, 0):.3f}"))
    return sentence(said)


def difference(facts: Facts, words: Language, method: str) -> str:
    """The cell of a table: the difference from full fine-tuning with its interval, or why there is none."""
    if method in facts.failed:
        return words.say("failed.cell")
    if method not in facts.compared:
        return "-"
    quality, digits = facts.quality[method], _digits(facts.quality[method], "f1_minus_full")
    return words.interval(*(f"{quality[f'f1_minus_full{end}']:+.{digits}f}" for end in ("", "_low", "_high")))


def _digits(quality: dict, key: str) -> int:
    """The decimals at which no bound that is not 0 looks like 0: at least three."""
    bounds = [abs(quality[f"{key}{end}"]) for end in ("_low", "_high")]
    return next((digits for digits in (3, 4, 5) if all(not bound or round(bound, digits) for bound in bounds)), 6)


def _confidence(facts: Facts) -> str:
    return f"{100 * facts.params.evaluate.confidence:g}"


def confidence(facts: Facts, words: Language) -> str:
    """How many percent the intervals of the scores are for."""
    return _confidence(facts)


def mcnemar(facts: Facts, words: Language) -> str:
    """The verdict of the exact test on the texts that only one of the two gets right, at the level of the intervals."""
    level = 1 - facts.params.evaluate.confidence
    found: dict[str, list[str]] = {}
    for method in facts.compared:
        p = facts.quality[method]["mcnemar_p"]
        verdict = "differs" if p < level else "open"
        found.setdefault(verdict, []).append(words.say("mcnemar.method", the=words.the(method), p=f"{p:.3g}"))
    return sentence(words.say(f"mcnemar.{verdict}", methods=words.listed(methods)) for verdict, methods in found.items())


def baseline(facts: Facts, words: Language) -> str:
    """How the methods that learned compare with the baseline that everybody tries first."""
    score = facts.baseline["tfidf"]["f1"]
    learned = [method for method in METHODS if method not in facts.failed]
    above = [words.the(method) for method in learned if facts.quality[method]["f1"] > score]
    others = [words.the(method) for method in learned if facts.quality[method]["f1"] <= score]
    everything = "all" if len(above) == len(METHODS) else "all_learned"
    kind = "nobody" if not learned else everything if not others else "none" if not above else "some"
    said = words.say(f"baseline.{kind}", f1=f"{score:.3f}", above=words.listed(above), others=words.listed(others))
    rows = facts.baseline["tfidf"]["training_rows"]
    return said if rows == facts.data["train_rows"] else f"{said} {words.say('baseline.fewer_rows', rows=f'{rows:,}')}"


def transfer(facts: Facts, words: Language) -> str:
    """One more bullet: the methods that learned, in their order on every transfer set; nothing where there is no such set."""
    learned = [method for method in METHODS if method not in facts.failed]
    if not facts.transfer or not learned:
        return ""
    sets = []
    for name in facts.transfer:
        scores = {method: facts.quality[method][f"transfer_{name}_f1"] for method in learned}
        order = sorted(scores, key=lambda method: scores[method], reverse=True)
        listed = ", ".join(f"{words.say(f'short.{method}')} {scores[method]:.3f}" for method in order)
        known = f"transfer.{name}"
        sets.append(words.say("transfer.set", name=words.say(known) if words.has(known) else plain(name), scores=listed))
    return f"\n- {words.say('transfer.all', sets='; '.join(sets))}"


def overlapping(facts: Facts, words: Language) -> str:
    """Which methods' own F1 intervals overlap, among those that learned."""
    learned = [method for method in METHODS if method not in facts.failed]
    pairs = [(a, b) for i, a in enumerate(learned) for b in learned[i + 1 :] if _overlap(facts.quality[a], facts.quality[b])]
    if len(learned) < 2:
        return ""
    if not pairs:
        return words.say("overlap.none")
    return words.say("overlap.some", pairs="; ".join(words.listed([words.the(a), words.the(b)]) for a, b in pairs))


def _overlap(a: dict, b: dict) -> bool:
    return a["f1_low"] <= b["f1_high"] and b["f1_low"] <= a["f1_high"]


def positive_class(facts: Facts, words: Language) -> str:
    """For two classes: how well every method ranks the texts by the score of the positive one, if the test set has both."""
    if "roc_auc" not in facts.quality["full"]:
        return ""
    scores = []
    for method in METHODS:
        details = facts.quality[method]
        values = {"auc": f"{details['roc_auc']:.4f}", "precision": f"{details['average_precision']:.4f}"}
        scores.append(words.say("positive.scores", label=words.say(f"short.{method}"), **values))
    return words.say("positive.all", name=facts.class_labels[facts.quality["full"]["positive_class"]], scores=", ".join(scores))


def calibration_about(facts: Facts, words: Language) -> str:
    """What the three numbers are."""
    return words.say("calibration.about", percent=confidence(facts, words), bins=facts.quality["full"]["ece_bins"])


def savings(facts: Facts, words: Language) -> str:
    """What each parameter-efficient method saves: trained parameters, checkpoint, peak memory of training."""
    full, memory = facts.quality["full"], facts.memory
    parts = []
    for method in PEFT:
        own = facts.quality[method]
        peak = memory[method]["peak_training_memory_mib"] / memory["full"]["peak_training_memory_mib"] - 1
        parts.append(
            words.say(
                "savings.method",
                label=words.label(method),
                share=share(own["trainable_percent"]),
                size=share(own["checkpoint_mib"]),
                full=share(full["checkpoint_mib"]),
                peak=f"{100 * peak:+.0f}",
            )
        )
    return words.say("savings.all", methods="; ".join(parts))
