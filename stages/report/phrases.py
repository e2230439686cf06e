"""Sentences about the numbers; comparisons choose their wording, so they stay true when the numbers change."""

import pandas as pd

from stages.presentation.titles import METHOD_LABELS
from stages.project.schema import METHODS
from stages.report.facts import Facts
from stages.report.setting import REGULARIZERS, TUNED, setting


def begin(words: str) -> str:
    """`words` with a capital first letter."""
    return words[0].upper() + words[1:]


def against_full(facts: Facts, method: str) -> str:
    """Whether the paired interval of the F1 difference excludes 0, and on which side."""
    quality = facts.quality[method]
    difference, low, high = (quality[f"f1_minus_full{end}"] for end in ("", "_low", "_high"))
    interval = f"{100 * facts.params.evaluate.confidence:g} % interval {low:+.3f} to {high:+.3f}"
    if high < 0:
        return f"is below full fine-tuning by {-difference:.3f} macro F1 ({interval}, which excludes 0)"
    if low > 0:
        return f"is above full fine-tuning by {difference:.3f} macro F1 ({interval}, which excludes 0)"
    detail = f"the difference in macro F1 is {difference:+.3f} ({interval}, which includes 0)"
    return f"cannot be distinguished from full fine-tuning: {detail}"


def mcnemar(facts: Facts, method: str) -> str:
    """The verdict of the exact test on the texts that only one of the two gets right, at the level of the interval."""
    p, level = facts.quality[method]["mcnemar_p"], 1 - facts.params.evaluate.confidence
    verdict = "agrees that their error rates differ" if p < level else "finds no difference in their error rates"
    return f"McNemar's exact test {verdict} (p = {p:.3g})"


def transfer(facts: Facts, name: str) -> str:
    """The order of the methods on a transfer set, and the spread."""
    scores = {method: facts.quality[method][f"transfer_{name}_f1"] for method in METHODS}
    order = sorted(scores, key=lambda method: scores[method], reverse=True)
    listed = ", ".join(f"{METHOD_LABELS[method]} {scores[method]:.3f}" for method in order)
    return f"on the {name}, {listed} ({scores[order[0]] - scores[order[-1]]:.3f} between first and last)"


def levelled_off(facts: Facts, method: str) -> str:
    """Whether training was ended by early stopping, and where its best epoch lay."""
    trained, best = facts.training[method]["epochs_trained"], facts.training[method]["best_epoch"]
    if trained < facts.params.train.epochs:
        return f"was ended by early stopping after epoch {trained}; its best epoch was {best}"
    if best == trained:
        return f"was still improving in its last epoch ({trained}); more epochs may improve it further"
    return f"ran all {trained} epochs; its best epoch was {best}"


def ablation_belongs(facts: Facts) -> bool:
    """Whether the experiment without the regularizers had this run's training rows and parameters.

    Its table is committed and not recomputed in every run; next to the numbers of a different run it would mislead.
    """
    same_rows = (facts.ablation["train_rows"] == facts.data["train_rows"]).all()
    return bool(same_rows and (facts.ablation["setting"] == setting(facts.params, REGULARIZERS)).all())


def tuned_elsewhere(facts: Facts) -> str:
    """What to add if the learning rates were chosen with different data, encoder or parameters from this run's."""
    same = (facts.learning_rates["setting"] == setting(facts.params, TUNED)).all()
    return "" if same else " (with different parameters, data or encoder from this run's; `make tune` chooses for these)"


def regularizers(facts: Facts) -> str:
    """Which method the two regularizers help or harm most on validation, and by how much."""
    gains = {}
    for method in METHODS:
        kept = facts.curves[method].set_index("epoch").loc[facts.training[method]["best_epoch"]]
        gains[method] = kept.f1 - facts.ablation.loc[method, "validation_f1"]
    listed = ", ".join(f"{METHOD_LABELS[method]} {gain:+.3f}" for method, gain in gains.items())
    most = max(gains, key=lambda method: abs(gains[method]))
    verb = "gains" if gains[most] > 0 else "loses"
    return f"With both, validation F1 changes by: {listed}. {begin(METHOD_LABELS[most])} {verb} most"


def latency_lines(facts: Facts) -> list[str]:
    """Exactly five lines on what the methods do to inference latency."""
    sizes = sorted(facts.latency["batch_size"].unique())
    lengths = sorted(facts.latency["length"].unique())
    middle = lengths[len(lengths) // 2]
    full = facts.latency[facts.latency["method"] == "full"].set_index(["batch_size", "length"])["median_ms"]
    difference = facts.memory["lora_merged"]["max_abs_logit_difference"]
    return [
        f"**Full fine-tuning** is the reference: {full[sizes[0], middle]:.1f} ms for batch {sizes[0]} and "
        f"{full[sizes[-1], middle]:.1f} ms for batch {sizes[-1]} at {middle} tokens; it has the base model's operations.",
        f"**LoRA, unmerged,** adds two thin products to every attention projection: {_span(facts, 'lora')}.",
        f"**LoRA, merged,** is W + (alpha/r) B A in place of W, which adds no operation: {_span(facts, 'lora_merged')}; "
        f"its logits differ from the unmerged ones by at most {difference:.1g}.",
        f"**The adapter** adds a bottleneck to every feed-forward block and cannot be merged because of its nonlinearity: "
        f"{_span(facts, 'adapter')}.",
        f"**So** {_advice(facts)}",
    ]


def _span(facts: Facts, arm: str) -> str:
    """Range of the ratio to full over all cells, its trend over batch sizes, and how many cells differ measurably."""
    cells = facts.latency[facts.latency["method"] == arm]
    slower, faster = (cells["ratio_low"] > 1).sum(), (cells["ratio_high"] < 1).sum()
    by_size = cells.groupby("batch_size")["ratio_to_full"].median()
    trend = f"{by_size.iloc[0]:.2f} at batch {by_size.index[0]} and {by_size.iloc[-1]:.2f} at batch {by_size.index[-1]}"
    measurable = f"measurably slower in {slower} of {len(cells)} cells" + (f", faster in {faster}" if faster else "")
    ratios = cells["ratio_to_full"]
    return f"{ratios.min():.2f} to {ratios.max():.2f} times full ({trend}), {measurable}"


def _advice(facts: Facts) -> str:
    medians = facts.latency.groupby("method")["ratio_to_full"].median()
    extra = sorted(((medians[arm] - 1, METHOD_LABELS[arm]) for arm in ("lora", "adapter")), reverse=True)
    costs = " and ".join(f"{label} {100 * cost:+.0f} %" for cost, label in extra)
    return (
        "merge LoRA to serve one task; many tasks on one shared base model need unmerged LoRA or adapters, at a "
        f"median cost here of {costs} per pass."
    )


def truncation(facts: Facts) -> str:
    """How many texts were truncated."""
    percent, limit = facts.data["truncated_percent"], facts.params.data.max_length
    return f"{percent:.2f} % were truncated" if percent else f"none is longer than {limit}, so truncation never acts here"


def overlapping(facts: Facts) -> str:
    """Which methods' own F1 intervals overlap."""
    pairs = [(a, b) for i, a in enumerate(METHODS) for b in METHODS[i + 1 :] if _overlap(facts.quality[a], facts.quality[b])]
    if not pairs:
        return "No two methods' F1 intervals overlap."
    named = "; ".join(f"{METHOD_LABELS[a]} and {METHOD_LABELS[b]}" for a, b in pairs)
    return f"The F1 intervals overlap for {named}; the paired comparison above is more sensitive."


def _overlap(a: dict, b: dict) -> bool:
    return a["f1_low"] <= b["f1_high"] and b["f1_low"] <= a["f1_high"]


def tuned_at_edge(learning_rates: pd.DataFrame) -> str:
    """Methods whose best candidate is the smallest or largest tried, so that a better one may lie outside the range."""
    edges = []
    for method, rows in learning_rates.groupby("method", sort=False):
        best = rows.loc[rows["validation_f1"].idxmax(), "learning_rate"]
        if best in (rows["learning_rate"].min(), rows["learning_rate"].max()):
            edges.append(METHOD_LABELS[method])
    if not edges:
        return "The best value lies inside the range for every method."
    return f"For {' and '.join(edges)} the best value is at the edge of the range tried."
