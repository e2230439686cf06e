"""What fits into the memory budget, by encoder, method and setting: the tables of the plan and the sentences on it."""

import re
from itertools import product

import pandas as pd

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report import gpu, gpu_tables
from stages.report.facts import OWN, PEFT, Facts
from stages.report.language import Language

# by (awp, gradient_checkpointing)
VARIANTS = {(False, False): "plain", (False, True): "checkpointing", (True, False): "awp", (True, True): "both"}
CASE = ["model", "method", "awp", "gradient_checkpointing"]
FROZEN = ("same", "bf16", "fp16", "nf4")  # of `train.frozen_dtype`, by the memory that they take


def fitting(facts: Facts, words: Language) -> str:
    """By encoder and method, the largest micro-batch that fits with this run's settings, times its accumulation steps."""
    variant = facts.params.awp.enabled, facts.params.train.gradient_checkpointing
    table = _own_precision(facts).set_index(CASE)
    rows = []
    for model in facts.plan["model"].drop_duplicates():
        cells = [_planned(table, (model, method, *variant), words) for method in METHODS]
        rows.append((encoder(facts, words, model), *cells))
    return markdown_table((words.say("encoder"), *(words.label(method) for method in METHODS)), rows)


def spare(facts: Facts, words: Language) -> str:
    """That this run accumulates although a whole batch would fit, where it does."""
    variant = facts.params.awp.enabled, facts.params.train.gradient_checkpointing
    table = _own_precision(facts).set_index(CASE)
    cases = [(OWN, method, *variant) for method in METHODS]
    accumulated = all(facts.training[method]["accumulation_steps"] > 1 for method in METHODS)
    batch = facts.params.train.batch_size
    if not accumulated or not all(case in table.index and table.loc[case].micro_batch_size >= batch for case in cases):
        return ""
    return words.say("spare", batch=batch)


def encoder(facts: Facts, words: Language, model: str) -> str:
    """The name of a planned encoder: that of the run is known where it is the embedded one."""
    if model != OWN:
        return model
    return gpu_tables.name(OWN, words) if facts.params.model.source == "package" else words.say("own_encoder")


def settings(facts: Facts, words: Language) -> str:
    """The setting of the table of what fits: with or without AWP and gradient checkpointing."""
    return words.say(f"setting.{VARIANTS[facts.params.awp.enabled, facts.params.train.gradient_checkpointing]}")


def published(facts: Facts, words: Language) -> str:
    """With which sizes of LoRA and adapter the published encoders were predicted, where they are not those of this run."""
    sizes = {}
    for method in PEFT:
        rows = facts.plan[facts.plan["method"] == method]
        own = set(rows[rows["model"] == OWN]["peft"])
        others = set(rows[rows["model"] != OWN]["peft"]) - own
        if others:
            sizes[method] = ", ".join(sorted(re.sub(r"\D", "", text) for text in others))
    named = [words.say(f"plan.published.{method}", size=size) for method, size in sizes.items()]
    return words.say("plan.published.all", sizes=words.listed(named)) if named else ""


def plan(facts: Facts, words: Language) -> str:
    """The largest micro-batch that fits, times its accumulation steps, and the predicted peak in MiB, in every variant."""
    table = _own_precision(facts).set_index(CASE)
    rows = []
    for model, method in facts.plan[["model", "method"]].drop_duplicates().itertuples(index=False):
        cells = [_planned(table, (model, method, *variant), words, peak=True) for variant in VARIANTS]
        rows.append((f"{encoder(facts, words, model)}, {words.label(method)}", *cells))
    header = (words.say("encoder_and_method"), *(words.say(f"variant.{name}") for name in VARIANTS.values()))
    return markdown_table(header, rows)


def by_precision(facts: Facts, words: Language) -> str:
    """The same without AWP in each precision, without and with checkpointing."""
    table = facts.plan.set_index([*CASE, "precision", "frozen_dtype"])
    variants = list(product(_precisions(facts), (False, True)))
    rows = []
    for model, method in facts.plan[["model", "method"]].drop_duplicates().itertuples(index=False):
        cells = []
        for (precision, frozen_dtype), recompute in variants:
            nothing_frozen = method == "full" and frozen_dtype != "same"
            case = (model, method, False, recompute, precision, frozen_dtype)
            cells.append("-" if nothing_frozen else _planned(table, case, words, peak=True))
        rows.append((f"{encoder(facts, words, model)}, {words.label(method)}", *cells))
    names = [(gpu_tables.precision_name(*case, words), recompute) for case, recompute in variants]
    header = [words.say("plan.checkpointing", precision=name) if recompute else name for name, recompute in names]
    return markdown_table((words.say("encoder_and_method"), *header), rows)


def four_bit(facts: Facts, words: Language) -> str:
    """What frozen weights in nf4 take, in a run that has them."""
    return words.say("plan.nf4") if facts.params.train.frozen_dtype == "nf4" else ""


def practice(facts: Facts, words: Language) -> str:
    """What fits of the largest planned encoder as people train it on a small card: LoRA, all that can be in the low precision."""
    plan = facts.plan[(facts.plan["method"] == "lora") & ~facts.plan["awp"] & (facts.plan["model"] != OWN)]
    if plan.empty:
        return ""
    largest = plan.loc[plan["weights_mib"].idxmax(), "model"]
    rows = plan[(plan["model"] == largest) & plan["gradient_checkpointing"]].set_index(["precision", "frozen_dtype"])
    plain, low = ("fp32", "same"), next((pair for pair in _precisions(facts) if pair[0] == pair[1]), None)
    if low is None or low not in rows.index:
        return ""
    row = rows.loc[low]
    if not row.micro_batch_size:
        return words.say("practice.none", model=largest, precision=low[0], mib=f"{row.peak_mib:,.0f}")
    sizes = {"size": f"{row.micro_batch_size:.0f} x {row.accumulation_steps:.0f}", "mib": f"{row.peak_mib:,.0f}"}
    checked = gpu.checked(facts, words, (largest, "lora", True, *low)) or words.say("practice.unmeasured")
    fp32 = f"{rows.loc[plain].peak_mib:,.0f}"
    return words.say("practice.fits", model=largest, precision=low[0], fp32=fp32, checked=checked, **sizes)


def _own_precision(facts: Facts) -> pd.DataFrame:
    """The rows of the plan in this run's precision (stages.planning.table.own_precision)."""
    train, plan = facts.params.train, facts.plan
    of_method = plan["method"].map(lambda method: "same" if method == "full" else train.frozen_dtype)
    return plan[(plan["precision"] == train.precision) & (plan["frozen_dtype"] == of_method)]


def _precisions(facts: Facts) -> list[tuple[str, str]]:
    """The planned pairs (precision, frozen_dtype), from float32 to the one that takes least."""
    pairs = set(facts.plan[["precision", "frozen_dtype"]].itertuples(index=False, name=None))
    return sorted(pairs, key=lambda pair: (pair[0] != "fp32", FROZEN.index(pair[1])))


def _planned(table: pd.DataFrame, case: tuple, words: Language, peak: bool = False) -> str:
    if case not in table.index:
        return words.say("plan.cannot")
    row = table.loc[case]
    if not row.micro_batch_size:
        return words.say("plan.none", mib=f"{row.peak_mib:,.0f}")
    size = f"{row.micro_batch_size:.0f} x {row.accumulation_steps:.0f}"
    return f"{size}, {row.peak_mib:,.0f}" if peak else size


def shorter_inputs(facts: Facts, words: Language) -> str:
    """The planned models whose longest input is shorter than `data.max_length`, in parentheses."""
    shorter = facts.plan[facts.plan["length"] < facts.params.data.max_length]
    lengths = shorter.drop_duplicates("model")[["model", "length"]].itertuples(index=False)
    named = ", ".join(f"{encoder(facts, words, model)} {length}" for model, length in lengths)
    return words.say("plan.shorter", lengths=named) if named else ""
