"""Sentences and tables on the epochs of each training: how it ended, and the learning curves."""

import itertools

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import Facts
from stages.report.language import Language, begin, sentence


def ends(facts: Facts, words: Language) -> str:
    """How the training of each method ended, and the scores of the epoch that was kept: a bullet each, or one if all went on."""
    ended = {(_end(facts, method), facts.training[method]["best_epoch"]) for method in METHODS}
    if len(ended) == 1 and ended.pop()[0] == "rising":
        return f"- {_together(facts, words)}"
    bullets = []
    for method in METHODS:
        log = facts.training[method]
        values = {"trained": log["epochs_trained"], "best": log["best_epoch"], "the": begin(words.the(method))}
        end = words.say(f"ends.{_end(facts, method)}", **values, scores=words.say("ends.scores", **_kept(facts, method)))
        bullets.append(f"- {sentence([end, _guessing(facts, words, method)])}")
    return "\n".join(bullets)


def _together(facts: Facts, words: Language) -> str:
    """The one bullet where every method had its best epoch last."""
    scores = "; ".join(words.say("ends.of", label=words.say(f"short.{method}"), **_kept(facts, method)) for method in METHODS)
    log = facts.training["full"]
    said = [words.say("ends.together", best=log["best_epoch"], trained=log["epochs_trained"], scores=scores)]
    for method in METHODS:
        if guessing := _guessing(facts, words, method):
            said.append(words.say("ends.of_method", The=begin(words.the(method)), said=guessing[:1].lower() + guessing[1:]))
    return sentence(said)


def _kept(facts: Facts, method: str) -> dict[str, str]:
    """The scores on validation of the epoch that was kept."""
    kept = facts.kept(method)
    return {key: f"{kept[key]:.4f}" for key in ("precision", "recall", "f1")}


def below_guessing(facts: Facts, method: str) -> list[float]:
    """F1 of the first epochs of a method in which it was worse than guessing: full fine-tuning under AWP has some."""
    base = facts.baseline["stratified"]["f1"]
    return list(itertools.takewhile(lambda f1: f1 < base, facts.curves[method].sort_values("epoch")["f1"]))


def _guessing(facts: Facts, words: Language, method: str) -> str:
    base, early = facts.baseline["stratified"]["f1"], below_guessing(facts, method)
    if not early or method in facts.failed:
        return ""
    listed = ", ".join(f"{f1:.3f}" for f1 in early)
    return words.counted("ends.guessing", len(early), scores=listed, base=f"{base:.3f}")


def _end(facts: Facts, method: str) -> str:
    trained, best = facts.training[method]["epochs_trained"], facts.training[method]["best_epoch"]
    if trained < facts.params.train.epochs:
        return "stopped"
    if trained == 1:
        return "single"
    return "rising" if best == trained and method not in facts.failed else "all"


def learning_curves(facts: Facts, words: Language) -> str:
    """The scores after each epoch of each method; the epoch that was kept is marked."""
    tables = []
    for method in METHODS:
        rows = []
        for row in facts.curves[method].itertuples():
            mark = f" ({words.say('kept')})" if row.epoch == facts.training[method]["best_epoch"] else ""
            scores = (row.train_loss, row.validation_loss, row.accuracy, row.precision, row.recall, row.f1)
            rows.append((f"{row.epoch}{mark}", *(f"{score:.4f}" for score in scores)))
        tables += [f"**{begin(words.label(method))}**", markdown_table(words.header("learning_curves"), rows)]
    return "\n\n".join(tables)
