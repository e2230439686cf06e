"""The report's tables, as Markdown."""

import pandas as pd

from stages.presentation.markdown import table as markdown_table
from stages.presentation.titles import METHOD_LABELS
from stages.project.schema import METHODS
from stages.report.facts import Facts

MANY_CLASSES = 12  # a larger matrix of counts is not readable as a table


def headline(facts: Facts) -> str:
    """One row per method: what is given up and what is saved. It has no timings, so that README.md can quote it."""
    rows = []
    for method in METHODS:
        quality = facts.quality[method]
        if method == "full":
            difference = "-"
        else:
            difference = (
                f"{quality['f1_minus_full']:+.3f} ({quality['f1_minus_full_low']:+.3f} to {quality['f1_minus_full_high']:+.3f})"
            )
        rows.append(
            (
                METHOD_LABELS[method],
                f"{quality['f1']:.3f} ({quality['f1_low']:.3f} to {quality['f1_high']:.3f})",
                difference,
                f"{quality['trainable_parameters']:,}",
                f"{quality['trainable_percent']:.2f} %",
                f"{quality['checkpoint_mib']:.2f}",
                f"{facts.memory[method]['peak_training_memory_mib']:,.0f}",
            )
        )
    header = "method, macro F1, minus full, trainable, share, checkpoint MiB, training memory MiB"
    return markdown_table(header.split(", "), rows)


def parameters(facts: Facts) -> str:
    """Trainable parameters in the body and the head, compared with full fine-tuning."""
    full = facts.quality["full"]["trainable_parameters"]
    rows = []
    for method in METHODS:
        counts = facts.quality[method]
        numbers = [counts[f"trainable_{part}parameters"] for part in ("body_", "head_", "")] + [counts["total_parameters"]]
        ratio = full / counts["trainable_parameters"]
        share = f"{counts['trainable_percent']:.2f} %"
        rows.append((METHOD_LABELS[method], *(f"{number:,}" for number in numbers), share, f"1 : {ratio:,.0f}"))
    header = ("method", "body", "head", "trainable", "total", "share", "of full fine-tuning")
    return markdown_table(header, rows)


def quality(facts: Facts) -> str:
    """Scores on the test set, and macro F1 on the transfer sets if there are any."""
    names = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
    transfer = [key for key in facts.quality["full"] if key.startswith("transfer_")]
    names |= {key: f"F1 on {key.removeprefix('transfer_').removesuffix('_f1')}" for key in transfer}
    names["mcnemar_p"] = "McNemar p"
    rows = []
    for method in METHODS:
        values = [f"{facts.quality[method][key]:.4f}" for key in names]
        rows.append((METHOD_LABELS[method], *values[:-1], "-" if method == "full" else values[-1]))
    return markdown_table(("method", *names.values()), rows)


def learning_curve(facts: Facts, method: str) -> str:
    """The epochs of one method; the kept one is marked."""
    rows = []
    for row in facts.curves[method].itertuples():
        mark = " (kept)" if row.epoch == facts.training[method]["best_epoch"] else ""
        scores = (row.train_loss, row.validation_loss, row.accuracy, row.precision, row.recall, row.f1)
        rows.append((f"{row.epoch}{mark}", *(f"{score:.4f}" for score in scores)))
    return markdown_table(("epoch", "train loss", "validation loss", "accuracy", "precision", "recall", "F1"), rows)


def confusion(facts: Facts, method: str) -> str:
    """Counts on the test set, a row per true class; for many classes a reference to the figure."""
    pairs = facts.confusion[method]
    names = sorted(set(pairs["actual"]) | set(pairs["predicted"]))
    if len(names) > MANY_CLASSES:
        return f"({len(names)} classes: see the figure and plots/confusion/{method}.csv)"
    counts = pd.crosstab(pairs["actual"], pairs["predicted"]).reindex(index=names, columns=names, fill_value=0)
    rows = [(f"true {name}", *counts.loc[name]) for name in names]
    return markdown_table((METHOD_LABELS[method], *(f"predicted {name}" for name in names)), rows)


def learning_rates(facts: Facts) -> str:
    """The result of tuning for every candidate; the value in params.yaml is marked."""
    rows = []
    for row in facts.learning_rates.itertuples():
        used = getattr(facts.params.train.learning_rate, row.method) == row.learning_rate
        value = f"{row.learning_rate:g}" + (" (used)" if used else "")
        rows.append((METHOD_LABELS[row.method], value, f"{row.validation_f1:.4f}", f"{row.validation_loss:.4f}"))
    return markdown_table(("method", "learning rate", "validation F1", "validation loss"), rows)


def perturbation(facts: Facts) -> str:
    """What AWP did in each training."""
    rows = []
    for method in METHODS:
        log = facts.training[method]
        moved = f"{log['awp_relative_step_mean']:.5f}", f"{log['awp_relative_step_max']:.5f}"
        rows.append((METHOD_LABELS[method], f"{log['awp_steps']:,}", *moved, f"{log['awp_unmoved_share']:.3%}"))
    return markdown_table(("method", "perturbations", "mean norm ratio", "largest", "tensors that could not move"), rows)


def ablation(facts: Facts) -> str:
    """Best validation scores with both regularizers, from the pipeline, and without, from the experiment."""
    rows = []
    for method in METHODS:
        curve = facts.curves[method].set_index("epoch")
        kept = curve.loc[facts.training[method]["best_epoch"]]
        plain = facts.ablation.loc[method]
        scores = (kept.f1, plain.validation_f1, plain.validation_f1 - kept.f1, kept.validation_loss, plain.validation_loss)
        numbers = [f"{score:+.4f}" if place == 2 else f"{score:.4f}" for place, score in enumerate(scores)]
        rows.append((METHOD_LABELS[method], *numbers))
    return markdown_table(("method", "F1 with both", "F1 without", "without minus with", "loss with", "loss without"), rows)


def latency(facts: Facts) -> str:
    """Median latency of full fine-tuning in ms, and the ratios of the other arms to it, by batch size and length."""
    table = facts.latency.set_index(["method", "batch_size", "length"])
    arms = [arm for arm in METHOD_LABELS if arm != "full"]
    rows = []
    for batch_size, length in facts.latency[["batch_size", "length"]].drop_duplicates().itertuples(index=False):
        cells = [table.loc[(arm, batch_size, length)] for arm in arms]
        ratios = [f"{c.ratio_to_full:.2f} ({c.ratio_low:.2f} to {c.ratio_high:.2f})" for c in cells]
        full = table.loc[("full", batch_size, length)]
        rows.append((f"{batch_size} x {length}", f"{full.median_ms:.1f}", f"{full.p95_ms:.1f}", *ratios))
    header = ("batch x tokens", "full, median ms", "full, p95 ms", *(METHOD_LABELS[arm] for arm in arms))
    return markdown_table(header, rows)


def class_balance(facts: Facts) -> str:
    """Rows of each split, in total and by class with their share."""
    names = [key.removeprefix("train_rows_") for key in facts.data if key.startswith("train_rows_")]
    rows = []
    for split in ("train", "validation", "test"):
        total = facts.data[f"{split}_rows"]
        counts = [facts.data[f"{split}_rows_{name}"] for name in names]
        rows.append((split, f"{total:,}", *(f"{count:,} ({100 * count / total:.1f} %)" for count in counts)))
    return markdown_table(("split", "rows", *names), rows)


def training_cost(facts: Facts) -> str:
    """Time of one optimizer step, without and with AWP, and prediction throughput."""
    rows = []
    for arm, label in METHOD_LABELS.items():
        entry = facts.benchmark[arm]
        numbers = [entry.get(key) for key in ("training_step_ms", "training_step_awp_ms", "throughput_examples_per_s")]
        rows.append((label, *("-" if number is None else f"{number:,.0f}" for number in numbers)))
    return markdown_table(("method", "step ms", "step with AWP ms", "test texts per s"), rows)
