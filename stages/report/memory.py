"""The report's tables and sentences on memory: what a training step needs, and what fits."""

import pandas as pd

from stages.presentation.markdown import table as markdown_table
from stages.presentation.titles import METHOD_LABELS
from stages.project.schema import METHODS
from stages.report.facts import OWN, Facts
from stages.report.phrases import begin

# by (awp, gradient_checkpointing)
VARIANTS = {(False, False): "plain", (False, True): "checkpointing", (True, False): "AWP", (True, True): "AWP and checkpointing"}


def batching(facts: Facts) -> str:
    """How the batch of an optimizer step was split: once if it is the same for all methods, otherwise for each."""
    cuts = {}
    for method in METHODS:
        log = facts.training[method]
        size, steps, processes = log["micro_batch_size"], log["accumulation_steps"], log["processes"]
        shared = f" in each of {processes} processes" if processes > 1 else ""
        cuts[METHOD_LABELS[method]] = f"{size} at a time pass through the model ({steps} micro-batch{'es' * (steps > 1)}{shared})"
    if len(set(cuts.values())) == 1:
        return next(iter(cuts.values()))
    return ", ".join(f"with {label} {cut}" for label, cut in cuts.items())


def by_micro_batch(facts: Facts) -> str:
    """Predicted peak in MiB by micro-batch size."""
    sizes = list(facts.memory["full"]["peak_mib_by_micro_batch"])
    rows = [
        (METHOD_LABELS[method], *(f"{facts.memory[method]['peak_mib_by_micro_batch'][size]:,.0f}" for size in sizes))
        for method in METHODS
    ]
    return markdown_table(("method", *(f"micro-batch {size.removeprefix('micro_batch_')}" for size in sizes)), rows)


def table(facts: Facts) -> str:
    """Predicted peak of a training step by its parts, next to the peak measured here, in MiB, without and with AWP."""
    parts = ("weights_mib", "gradients_mib", "optimizer_state_mib", "activations_mib", "peak_training_memory_mib")
    with_awp = ("awp_buffer_mib", "peak_training_memory_awp_mib")
    rows = []
    for method in METHODS:
        predicted, measured = facts.memory[method], facts.benchmark[method]
        cells = [predicted[part] for part in parts] + [measured["peak_training_memory_mib"]]
        cells += [predicted[part] for part in with_awp] + [measured["peak_training_memory_awp_mib"]]
        rows.append((METHOD_LABELS[method], *(f"{cell:,.1f}" for cell in cells)))
    header = "method, weights, gradients, optimizer, activations, peak, measured, AWP's copy, peak with AWP, measured with AWP"
    return markdown_table(header.split(", "), rows)


def error(facts: Facts) -> str:
    """The range of the relative errors of the prediction, without and with AWP."""
    errors = [
        facts.benchmark[method][key] / facts.memory[method][key] - 1
        for method in METHODS
        for key in ("peak_training_memory_mib", "peak_training_memory_awp_mib")
    ]
    return f"The measured peaks differ from the predicted ones by {100 * min(errors):+.1f} % to {100 * max(errors):+.1f} %"


def saving(facts: Facts, method: str) -> str:
    """What training memory a method saves compared with full fine-tuning, and where."""
    own, full = facts.memory[method], facts.memory["full"]
    state = sum(full[key] - own[key] for key in ("gradients_mib", "optimizer_state_mib"))
    activations = full["activations_mib"] - own["activations_mib"]
    peak = 1 - own["peak_training_memory_mib"] / full["peak_training_memory_mib"]
    what = f"{abs(activations):,.0f} MiB {'less' if activations >= 0 else 'more'} for activations"
    share = f"{100 * abs(peak):.0f} % {'less' if peak >= 0 else 'more'} at the peak"
    return f"{begin(METHOD_LABELS[method])}: {state:,.0f} MiB less for gradients and optimizer state, {what}, {share}"


def plan(facts: Facts) -> str:
    """The largest micro-batch that fits, times its accumulation steps, and the predicted peak in MiB."""
    table = facts.plan.set_index(["model", "method", "awp", "gradient_checkpointing"])
    rows = []
    for model, method in facts.plan[["model", "method"]].drop_duplicates().itertuples(index=False):
        cells = [_planned(table, (model, method, *variant)) for variant in VARIANTS]
        rows.append((f"{model}, {METHOD_LABELS[method]}", *cells))
    return markdown_table(("model and method", *VARIANTS.values()), rows)


def _planned(table: pd.DataFrame, case: tuple) -> str:
    if case not in table.index:
        return "cannot"
    row = table.loc[case]
    if not row.micro_batch_size:
        return f"none (1 takes {row.peak_mib:,.0f})"
    return f"{row.micro_batch_size:.0f} x {row.accumulation_steps:.0f}, {row.peak_mib:,.0f}"


def by_the_first_process(facts: Facts) -> str:
    """What to add to numbers that were counted by rank 0 only."""
    return " (as the first process counted it)" if any(facts.training[method]["processes"] > 1 for method in METHODS) else ""


def shorter_inputs(facts: Facts) -> str:
    """The planned models whose longest input is shorter than `data.max_length`, in parentheses."""
    shorter = facts.plan[facts.plan["length"] < facts.params.data.max_length]
    lengths = shorter.drop_duplicates("model")[["model", "length"]].itertuples(index=False)
    named = ", ".join(f"{model} {length}" for model, length in lengths)
    return f" (or as many as a model takes: {named})" if named else ""


def fits_in_budget(facts: Facts) -> str:
    """The micro-batches that `auto` would choose for this encoder with this run's parameters."""
    train, own = facts.params.train, facts.plan[facts.plan["model"] == OWN]
    here = own[(own["awp"] == facts.params.awp.enabled) & (own["gradient_checkpointing"] == train.gradient_checkpointing)]
    sizes = ", ".join(f"{METHOD_LABELS[row.method]} {row.micro_batch_size or 'none'}" for row in here.itertuples())
    return f"for this encoder, trained by one process with this run's settings, that is {sizes} of {train.batch_size} texts"


def not_fitting(facts: Facts) -> str:
    """Which planned trainings exceed the budget even with one text at a time."""
    none = facts.plan[facts.plan["micro_batch_size"] == 0]
    if none.empty:
        return "Every one of these trainings fits."
    named = none[["model", "method"]].drop_duplicates().itertuples(index=False)
    return (
        "Not even one text at a time fits for "
        + "; ".join(f"{model} with {METHOD_LABELS[method]} ({_variants(none, model, method)})" for model, method in named)
        + "."
    )


def _variants(none: pd.DataFrame, model: str, method: str) -> str:
    rows = none[(none["model"] == model) & (none["method"] == method)]
    if len(rows) == 4:
        return "whatever the variant"
    return ", ".join(VARIANTS[row.awp, row.gradient_checkpointing] for row in rows.itertuples())
