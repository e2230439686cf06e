"""What was measured on a GPU (`python -m experiments.on_gpu`): a reference with the embedded encoder and published ones.

It does not belong to this run, whose encoder, data and parameters may be others; the sentences name what they are about.
"""

import pandas as pd

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import ARMS, OWN, PEFT, Facts
from stages.report.language import Language, sentence

SHOWN = (("fp32", "same"), ("bf16", "same"))  # (precision, frozen_dtype) in the short table
KIND = ["gradient_checkpointing", "precision", "frozen_dtype"]
# columns of the table of memory, all without AWP, by `KIND`
VARIANTS = ((False, "fp32", "same"), (True, "fp32", "same"), (False, "bf16", "same"), (True, "bf16", "same"),
            (False, "bf16", "bf16"), (True, "bf16", "bf16"), (True, "bf16", "nf4"))  # fmt: skip


def brief(facts: Facts, words: Language) -> str:
    """Steps and forward passes of the smallest and the largest encoder, and what the memory plan is worth; "" if not measured."""
    if facts.gpu is None:
        return ""
    steps, latency = facts.gpu["steps"], facts.gpu["latency"]
    rows = []
    for encoder in (OWN, largest(steps)):
        for precision, frozen in SHOWN:
            case = steps[(steps["encoder"] == encoder) & (steps["precision"] == precision) & (steps["frozen_dtype"] == frozen)]
            times = case.set_index("method")["step_ms"]
            passes = latency[(latency["encoder"] == encoder) & (latency["precision"] == precision)]
            forward = at(passes, passes["batch_size"].max(), passes["length"].max()).set_index("method")
            if len(times) < len(METHODS) or len(forward) < len(ARMS):  # they did not fit on that GPU
                continue
            ratios = [f"{times[method] / times['full']:.2f}" for method in PEFT]
            slower = [f"{forward.loc[arm, 'ratio_to_full']:.2f}" for arm in ARMS[1:]]
            cells = f"{times['full']:.1f}", *ratios, f"{forward.loc['full', 'median_ms']:.1f}", *slower
            rows.append((f"{name(encoder, words)}, {precision}", *cells))
    size = {"texts": steps["micro_batch_size"].iloc[0], "tokens": steps["length"].iloc[0]}
    intro = words.say("gpu.intro", device=facts.gpu["machine"]["device"], **size)
    short = words.say("gpu.short", **_launched(facts, words), **_fitted(facts))
    return f"{intro}\n\n{markdown_table(words.header('gpu'), rows)}\n\n{short}"


def largest(steps: pd.DataFrame) -> str:
    """The encoder whose full fine-tuning takes longest in fp32."""
    full = steps[(steps["method"] == "full") & (steps["precision"] == "fp32")]
    return str(full.loc[full["step_ms"].idxmax(), "encoder"])


def at(passes: pd.DataFrame, batch_size: int, length: int) -> pd.DataFrame:
    """The rows of one shape."""
    return passes[(passes["batch_size"] == batch_size) & (passes["length"] == length)]


def name(encoder: str, words: Language) -> str:
    """The encoder's name in tables: that of the embedded one does not depend on which one this run has."""
    return words.say("gpu.embedded") if encoder == OWN else encoder


def launches(facts: Facts, words: Language) -> str:
    """In how many cases a step is longer than full fine-tuning's, and how little one short text saves in a forward pass."""
    assert facts.gpu is not None
    steps = facts.gpu["steps"]
    nf4 = words.say("gpu.nf4", **longer(steps, "nf4")) if (steps["frozen_dtype"] == "nf4").any() else ""
    return words.say("gpu.launches", nf4=nf4, **_launched(facts, words))


def _launched(facts: Facts, words: Language) -> dict[str, object]:
    """The numbers behind `launches`."""
    assert facts.gpu is not None
    latency = facts.gpu["latency"]
    forward = latency[(latency["encoder"] == OWN) & (latency["precision"] == "fp32")]
    own = forward[forward["method"] == "full"]
    medians = forward.groupby("method")["ratio_to_full"].median()
    more = {f"{method}_more": f"{100 * (medians[method] - 1):+.0f}" for method in PEFT}
    shapes = [(own[column].min(), own[column].max()) for column in ("batch_size", "length")]
    (few, many), (short, long) = shapes
    times = [at(own, *shape)["median_ms"].iloc[0] for shape in ((few, short), (many, long))]
    values = {"few": few, "many": many, "short": short, "long": long, "one": f"{times[0]:.1f}", "all": f"{times[1]:.1f}"}
    slower = longer(facts.gpu["steps"], "same")
    return {"encoder": name(OWN, words), "shapes": len(own), **slower, **more, **values}


def longer(steps: pd.DataFrame, frozen_dtype: str) -> dict[str, int]:
    """In how many `cases` of encoder and precision the step of each method is longer than full fine-tuning's."""
    cases = ["encoder", "precision"]
    full = steps[steps["method"] == "full"].set_index(cases)["step_ms"]
    frozen = steps[(steps["frozen_dtype"] == frozen_dtype) & (steps["method"] != "full")]
    times = frozen.pivot(index=cases, columns="method", values="step_ms").assign(full=full).dropna()
    return {"cases": len(times)} | {method: int((times[method] > times["full"]).sum()) for method in PEFT}


def fits(facts: Facts, words: Language) -> str:
    """Whether what the memory plan calls fitting did fit, and how far tensors were from the prediction."""
    return words.say("gpu.fits", **_fitted(facts))


def _fitted(facts: Facts) -> dict[str, object]:
    """The numbers behind `fits`."""
    assert facts.gpu is not None
    memory, machine = facts.gpu["memory"], facts.gpu["machine"]
    budget = f"{machine['budget_gib']:g}"
    planned = memory["predicted_mib"] + machine["reserve_mib"] <= 1024 * machine["budget_gib"]
    errors = 100 * (memory["measured_mib"] / memory["predicted_mib"] - 1)
    return {"fitting": int(planned.sum()), "fitted": int((planned & memory["fits"]).sum()), "budget": budget,
              "other": int((~planned).sum()), "failed": int((~planned & ~memory["fits"]).sum()),
              "context": f"{machine['context_mib']:,.0f}", "reserve": machine["reserve_mib"],
              "low": f"{errors.min():+.0f}", "high": f"{errors.max():+.1f}"}  # fmt: skip


def trained(facts: Facts, words: Language) -> str:
    """The test scores of the trainings by precision, and which methods were not trained there."""
    assert facts.gpu is not None
    rows = facts.gpu["training"]
    parts = []
    for method in METHODS:
        scores = [
            f"{row.test_f1:.3f} ({precision_name(row.precision, row.frozen_dtype, words)})"
            for row in rows[rows["method"] == method].itertuples()
        ]
        if scores:
            parts.append(words.say("gpu.scores", method=words.say(f"short.{method}"), scores=", ".join(scores)))
    missing = [words.say(f"short.{method}") for method in METHODS if method not in set(rows["method"])]
    left = words.say("gpu.untrained", methods=words.listed(missing)) if missing else ""
    return sentence([words.say("gpu.trained", parts="; ".join(parts)), left])


def precision_name(precision: str, frozen_dtype: str, words: Language) -> str:
    """Precision, and that of the frozen weights where it is another than fp32."""
    return precision if frozen_dtype == "same" else words.say("plan.frozen", precision=precision, frozen=frozen_dtype)


def section(facts: Facts, words: Language) -> str:
    """The section of the details, with its heading; "" if nothing was measured."""
    if facts.gpu is None:
        return ""
    said = "\n".join(f"- {part(facts, words)}" for part in (launches, fits, trained))
    return f"## {words.say('gpu.heading')}\n\n{said}\n\n{steps(facts, words)}\n\n{memory(facts, words)}"


def steps(facts: Facts, words: Language) -> str:
    """All times of a training step, plain and with AWP, relative to full fine-tuning in the same precision."""
    assert facts.gpu is not None
    machine, table = facts.gpu["machine"], facts.gpu["steps"]
    full = table[table["method"] == "full"].set_index(["encoder", "precision"])
    rows = []
    for (encoder, precision, frozen), group in table.groupby(["encoder", "precision", "frozen_dtype"], sort=False):
        if (encoder, precision) not in full.index:
            continue
        of, cells = full.loc[(encoder, precision)], []
        by_method = group.set_index("method")
        for kind in ("step_ms", "step_awp_ms"):
            cells += [f"{of[kind]:.1f}", *(f"{by_method.loc[method, kind] / of[kind]:.2f}" for method in PEFT)]
        rows.append((f"{name(encoder, words)}, {precision_name(precision, frozen, words)}", *cells))
    versions = {key: machine[key] for key in ("device", "torch", "transformers", "peft", "cuda")}
    about = words.say("gpu.about", **versions, capability=machine["compute_capability"])
    return f"{about}\n\n{markdown_table(words.header('gpu_steps'), rows)}"


def memory(facts: Facts, words: Language) -> str:
    """Measured peaks and how far they are from the prediction, by encoder, method and variant, without AWP."""
    assert facts.gpu is not None
    table = facts.gpu["memory"]
    plain = table[~table["awp"]].set_index(["model", "method", *KIND])
    rows = []
    for encoder, method in table[["model", "method"]].drop_duplicates().itertuples(index=False):
        cells = []
        for variant in VARIANTS:
            case = (encoder, method, *variant)
            cells.append(_peak(plain.loc[case]) if case in plain.index else "-")
        rows.append((f"{name(encoder, words)}, {words.say(f'short.{method}')}", *cells))
    kinds = [(recompute, precision_name(precision, frozen, words)) for recompute, precision, frozen in VARIANTS]
    header = [words.say("plan.checkpointing", precision=text) if recompute else text for recompute, text in kinds]
    return f"{words.say('gpu.memory')}\n\n{markdown_table((words.say('encoder_and_method'), *header), rows)}"


def _peak(row: pd.Series) -> str:
    if pd.isna(row["measured_mib"]):  # that GPU has too little memory
        return "-"
    error = 100 * (row["measured_mib"] / row["predicted_mib"] - 1)
    return f"{row['micro_batch_size']} x {row['accumulation_steps']}, {row['measured_mib']:,.0f} ({error:+.0f} %)"


def checked(facts: Facts, words: Language, case: tuple) -> str:
    """What a planned case without AWP took on the GPU; "" if not measured.

    Args:
        case: (model, method, gradient_checkpointing, precision, frozen_dtype).
    """
    if facts.gpu is None:
        return ""
    table = facts.gpu["memory"]
    found = table[~table["awp"]].set_index(["model", "method", *KIND])
    if case not in found.index or pd.isna(found.loc[case, "measured_mib"]):
        return ""
    return words.say("gpu.checked", mib=f"{found.loc[case, 'measured_mib']:,.0f}", device=facts.gpu["machine"]["device"])


def seen(facts: Facts, words: Language) -> str:
    """Where the plan's predictions in lower precision can be compared with a measurement, if there is one."""
    return words.say("gpu.unseen" if facts.gpu is None else "gpu.seen")
