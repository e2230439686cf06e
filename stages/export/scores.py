"""What a model card says of the scores."""

from collections.abc import Mapping

from stages.export.facts import POSITIVE, SCORES, CardFacts, TestScores
from stages.presentation.learning import CLASSES, GUESSING, MAJORITY
from stages.presentation.markdown import plain, table

REASONS = {
    MAJORITY: "it is not measurably better than always predicting the most frequent class",
    GUESSING: "it is not measurably better than drawing classes at random with their frequency",
    CLASSES: "it never predicts some of the classes",
}


def warning(test: TestScores | None) -> list[str]:
    """Return the paragraph that comes before everything where the model learned nothing, or not every class; [] otherwise."""
    if not test or not test.failed:
        return []
    reasons = "; ".join(REASONS[reason] for reason in test.failed)
    first = "**Do not use this model: its evaluation does not show that it learned to tell its classes apart.**"
    return [f"{first} On the test set {reasons}."]


def scores(facts: CardFacts) -> str:
    """Scores on validation, and those on the test set if they are of these weights."""
    text = score_table("validation", facts.validation)
    text += "\n\nThe epoch was chosen by this macro F1, so it is slightly optimistic."
    if facts.test is None:
        return text + "\n\nNo scores on the test set: these weights were not evaluated (`dvc repro evaluate` does it)."
    evaluate = facts.params.evaluate
    text += f"\n\n{scores_on_test(facts.test, evaluate.confidence)}"
    if evaluate.precision != "fp32":
        text += f"\n\nIt predicted the test set in {evaluate.precision} (autocast)."
    return text


def score_table(split: str, values: Mapping[str, float]) -> str:
    return table([f"on {split}", "value"], [[name, f"{values[key]:.4f}"] for key, name in SCORES.items()])


def scores_on_test(test: TestScores, confidence: float) -> str:
    """Scores on the test set with the interval of macro F1, and macro F1 on the transfer sets."""
    metrics = test.metrics
    of = f" of {test.rows:,} texts" if test.rows else ""
    text = score_table("the test set", metrics)
    if test.positive:
        name = plain(list(test.by_class)[-1])
        text += "\n\n" + table(
            [f"with {name} as the positive class", "value"], [[POSITIVE[k], f"{v:.4f}"] for k, v in test.positive.items()]
        )
    text += (
        f"\n\nThe test set{of} was used once, after training. Macro F1 lies between {metrics['f1_low']:.3f} and "
        f"{metrics['f1_high']:.3f} ({100 * confidence:g} % bootstrap interval)."
    )
    if test.transfer:
        rows = [[plain(name), f"{value:.4f}"] for name, value in test.transfer.items()]
        text += "\n\nOn other kinds of text, none of which was in training:\n\n" + table(["texts", "macro F1"], rows)
    return text
