"""The report's tables and sentences on memory and time: what a training step needs and takes."""

from stages.presentation.markdown import table as markdown_table
from stages.project.schema import METHODS
from stages.report import latency
from stages.report.facts import ARMS, PEFT, Facts
from stages.report.language import Language
from stages.report.prepared import share

PARTS = ("weights_mib", "gradients_mib", "optimizer_state_mib", "activations_mib")


def peaks(facts: Facts, words: Language) -> str:
    """That the peaks of the first table are those without AWP, and what they are with it where this run has it."""
    if not facts.params.awp.enabled:
        return words.say("peaks.without")
    peaks = {method: facts.memory[method]["peak_training_memory_awp_mib"] for method in METHODS}
    return words.say("peaks.both", **{method: f"{peak:,.0f}" for method, peak in peaks.items()})


def by_micro_batch(facts: Facts, words: Language) -> str:
    """Predicted peak in MiB by micro-batch size."""
    sizes = list(facts.memory["full"]["peak_mib_by_micro_batch"])
    rows = [
        (words.label(method), *(f"{facts.memory[method]['peak_mib_by_micro_batch'][size]:,.0f}" for size in sizes))
        for method in METHODS
    ]
    headers = (words.say("micro_batch", size=size.removeprefix("micro_batch_")) for size in sizes)
    return markdown_table((words.say("method"), *headers), rows)


def costs(facts: Facts, words: Language) -> str:
    """Peak memory of a training step by its parts, predicted and measured, and what a step and prediction take."""
    rows = []
    for method in METHODS:
        memory, timing = facts.memory[method], facts.timing[method]
        cells = [*(memory[part] for part in PARTS), memory["peak_training_memory_mib"], timing["peak_mib"]]
        times = [timing[key] for key in ("step_ms", "step_awp_ms", "throughput_per_s")]
        rows.append((words.label(method), *(share(cell, 1) for cell in cells), *(f"{time:,.0f}" for time in times)))
    return markdown_table(words.header("costs"), rows)


def measured(facts: Facts, words: Language) -> str:
    """How the measured peak was taken, and how far it is from the prediction."""
    errors = [facts.timing[method]["peak_mib"] / facts.memory[method]["peak_training_memory_mib"] - 1 for method in METHODS]
    kind = latency.kind_of(facts)
    return words.say(f"measured.{kind}", low=f"{100 * min(errors):+.1f}", high=f"{100 * max(errors):+.1f}")


def machine(facts: Facts, words: Language) -> str:
    """Where the table of costs was measured, which a reader who looks for a GPU must know before reading it."""
    return words.say(f"machine.{latency.kind_of(facts)}", device=facts.device, threads=latency.threads(facts, words))


def with_awp(facts: Facts, words: Language) -> str:
    """Peak of a training step with AWP, predicted and measured, and the copy that AWP keeps, in MiB."""
    rows = []
    for method in METHODS:
        memory = facts.memory[method]
        peaks = [memory["awp_buffer_mib"], memory["peak_training_memory_awp_mib"]]
        peaks.append(facts.conditions["peak_awp_mib"][method])
        rows.append((words.label(method), *(share(peak, 1) for peak in peaks)))
    return markdown_table(words.header("with_awp"), rows)


def saving(facts: Facts, words: Language) -> str:
    """How the training memory of each method differs from that of full fine-tuning, and where."""
    parts = []
    for method in PEFT:
        own, full = facts.memory[method], facts.memory["full"]
        more = {key: own[f"{key}_mib"] - full[f"{key}_mib"] for key in ("gradients", "optimizer_state", "activations")}
        numbers = {"state": _signed(more["gradients"] + more["optimizer_state"]), "activations": _signed(more["activations"])}
        parts.append(words.say("saving.method", the=words.the(method), **numbers))
    return words.say("saving.all", methods="; ".join(parts))


def _signed(mib: float) -> str:
    """A difference in MiB; small ones have a decimal."""
    return f"{mib:+,.0f}" if abs(mib) >= 10 else f"{mib:+.1f}" if abs(mib) >= 0.05 else "0"


def throughput(facts: Facts, words: Language) -> str:
    """Test texts per second of every arm."""
    rows = [(words.label(arm), f"{facts.timing[arm]['throughput_per_s']:,.0f}") for arm in ARMS]
    return markdown_table(words.header("throughput"), rows)
