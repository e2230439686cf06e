"""Tables of what was measured on a GPU, and how to read single numbers of the measured tables."""

import pandas as pd

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report.facts import ARMS, OWN, PEFT, Facts
from stages.report.language import Language

SHOWN = (("fp32", "same"), ("bf16", "same"))  # (precision, frozen_dtype) beside each other; the first is the one of the sentences
KIND = ["gradient_checkpointing", "precision", "frozen_dtype"]
# columns of the table of memory, all without AWP, by `KIND`
VARIANTS = ((False, "fp32", "same"), (True, "fp32", "same"), (False, "bf16", "same"), (True, "bf16", "same"),
            (False, "bf16", "bf16"), (True, "bf16", "bf16"), (True, "bf16", "nf4"))  # fmt: skip


def both(facts: Facts, words: Language) -> str:
    """Steps and forward passes of the smallest and the largest encoder beside each other."""
    assert facts.gpu is not None
    steps, latency = facts.gpu["steps"], facts.gpu["latency"]
    rows = []
    for encoder in (OWN, largest(steps)):
        for precision, frozen in SHOWN:
            times, forward = step_times(steps, encoder, precision, frozen), longest_passes(latency, encoder, precision)
            if times is None or forward is None:
                continue
            ratios = [f"{times[method] / times['full']:.2f}" for method in PEFT]
            slower = [f"{forward.loc[arm, 'ratio_to_full']:.2f}" for arm in ARMS[1:]]
            cells = f"{times['full']:.1f}", *ratios, f"{forward.loc['full', 'median_ms']:.1f}", *slower
            rows.append((f"{name(encoder, words)}, {precision}", *cells))
    size = {"texts": steps["micro_batch_size"].iloc[0], "tokens": steps["length"].iloc[0]}
    return f"{words.say('gpu.both', **size)}\n\n{markdown_table(words.header('gpu'), rows)}"


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


def largest(steps: pd.DataFrame) -> str:
    """The encoder whose full fine-tuning takes longest in fp32."""
    full = steps[(steps["method"] == "full") & (steps["precision"] == "fp32")]
    return str(full.loc[full["step_ms"].idxmax(), "encoder"])


def name(encoder: str, words: Language) -> str:
    """The encoder's name in tables: that of the embedded one does not depend on which one this run has."""
    return words.say("gpu.embedded") if encoder == OWN else encoder


def precision_name(precision: str, frozen_dtype: str, words: Language) -> str:
    """Precision, and that of the frozen weights where it is another than fp32."""
    return precision if frozen_dtype == "same" else words.say("plan.frozen", precision=precision, frozen=frozen_dtype)


def step_times(steps: pd.DataFrame, encoder: str, precision: str, frozen: str) -> pd.Series | None:
    """Milliseconds of a step by method; None if one of them did not fit on that GPU."""
    case = steps[(steps["encoder"] == encoder) & (steps["precision"] == precision) & (steps["frozen_dtype"] == frozen)]
    return case.set_index("method")["step_ms"] if len(case) == len(METHODS) else None


def longest_passes(latency: pd.DataFrame, encoder: str, precision: str) -> pd.DataFrame | None:
    """The largest forward pass by arm; None if one of them did not fit on that GPU."""
    passes = latency[(latency["encoder"] == encoder) & (latency["precision"] == precision)]
    forward = at(passes, passes["batch_size"].max(), passes["length"].max()).set_index("method")
    return forward if len(forward) == len(ARMS) else None


def at(passes: pd.DataFrame, batch_size: int, length: int) -> pd.DataFrame:
    """The rows of one shape."""
    return passes[(passes["batch_size"] == batch_size) & (passes["length"] == length)]
