"""What adapters and LoRA do to inference latency: exactly five lines, and the table of all measurements."""

from stages.presentation.markdown import table as markdown_table
from stages.report.facts import ARMS, Facts
from stages.report.language import Language

CONFIDENCE = 0.95  # an interval that covers less does not tell slower from equal


def lines(facts: Facts, words: Language) -> str:
    """Exactly five numbered lines, one each: the reference, LoRA, merged LoRA, the adapter, and what follows."""
    said = [
        _reference(facts, words),
        *(
            words.say(f"latency.{_kind(facts, arm)}", effect=_effect(facts, words, arm), verdict=_verdict(facts, words, arm))
            for arm in ARMS[1:]
        ),
        _advice(facts, words),
    ]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(said, 1))


def _kind(facts: Facts, arm: str) -> str:
    """The name of the sentence about an arm, which says what it adds to a forward pass."""
    peft = facts.params.peft
    if arm == "lora":
        return "lora_dora" if peft.use_dora else "lora" if peft.target == "attention" else "lora_elsewhere"
    return "adapter_parallel" if arm == "adapter" and peft.adapter == "parallel" else arm


def _reference(facts: Facts, words: Language) -> str:
    """Latency of full fine-tuning for the smallest and the largest batch at the longest input."""
    length = int(facts.latency["length"].max())
    cells = facts.latency[(facts.latency["method"] == "full") & (facts.latency["length"] == length)]
    times = [
        words.say("latency.time", ms=f"{row.median_ms:.1f}", size=row.batch_size)
        for row in cells.sort_values("batch_size").itertuples()
    ]
    shown = times if len(times) == 1 else [times[0], times[-1]]
    shapes = len(facts.latency[facts.latency["method"] == "full"])
    where = {"length": length, "device": words.say(f"kind.{kind_of(facts)}")}
    return words.counted("latency.full", shapes, times=words.listed(shown), **where)


def kind_of(facts: Facts) -> str:
    """What was timed: "cpu" or "cuda"."""
    return "cpu" if facts.conditions["machine"]["device"] == "cpu" else "cuda"


def _effect(facts: Facts, words: Language, arm: str) -> str:
    """The range of the ratio to full fine-tuning over all shapes; a single one if there is only one."""
    ratios = facts.latency[facts.latency["method"] == arm]["ratio_to_full"]
    low, high = f"{ratios.min():.2f}", f"{ratios.max():.2f}"
    return words.say("latency.ratio" if low == high else "latency.range", low=low, high=high)


def _verdict(facts: Facts, words: Language, arm: str) -> str:
    """In how many shapes the arm is slower or faster, where there were rounds enough to tell."""
    cells = facts.latency[facts.latency["method"] == arm]
    if not enough_rounds(facts):
        return words.counted("latency.few_rounds", int(cells["rounds"].min()))
    slower, faster = int((cells["ratio_low"] > 1).sum()), int((cells["ratio_high"] < 1).sum())
    kind = "both" if slower and faster else "slower" if slower else "faster" if faster else "neither"
    return words.say(f"latency.{kind}", slower=slower, faster=faster, cells=len(cells))


def enough_rounds(facts: Facts) -> bool:
    """Whether the intervals of the ratios cover the true median with 95 % or more."""
    return bool(facts.latency["coverage"].min() >= CONFIDENCE)


def _advice(facts: Facts, words: Language) -> str:
    if not enough_rounds(facts):
        return words.say("latency.advice_unmeasured")
    medians = facts.latency.groupby("method")["ratio_to_full"].median()
    costs = {arm: f"{100 * (medians[arm] - 1):+.0f}" for arm in ("lora", "adapter")}
    return words.say("latency.advice", device=words.say(f"kind.{kind_of(facts)}"), **costs)


def table(facts: Facts, words: Language) -> str:
    """Median latency of full fine-tuning in ms, and the ratios of the other arms to it, by batch size and length."""
    cells = facts.latency.set_index(["method", "batch_size", "length"])
    rows = []
    for batch_size, length in facts.latency[["batch_size", "length"]].drop_duplicates().itertuples(index=False):
        ratios = []
        for arm in ARMS[1:]:
            cell = cells.loc[(arm, batch_size, length)]
            ratios.append(words.interval(*(f"{ratio:.2f}" for ratio in (cell.ratio_to_full, cell.ratio_low, cell.ratio_high))))
        full = cells.loc[("full", batch_size, length)]
        rows.append((f"{batch_size} x {length}", f"{full.median_ms:.1f}", f"{full.p95_ms:.1f}", *ratios))
    return markdown_table((*words.header("latency"), *(words.label(arm) for arm in ARMS[1:])), rows)


def threads(facts: Facts, words: Language) -> str:
    """How many threads were timed."""
    return words.counted("threads", facts.conditions["machine"]["threads"])


def conditions(facts: Facts, words: Language) -> str:
    """On what, in which precision, how often and with what intervals the ratios were measured."""
    rounds = int(facts.latency["rounds"].min())
    # timings measured before there was a choice are those of float32
    precision = words.say(f"computed_in.{facts.latency['precision'].iloc[0] if 'precision' in facts.latency else 'fp32'}")
    coverage = f"{100 * facts.latency['coverage'].min():.3g}"
    kind = "interval" if enough_rounds(facts) else "range"
    measured = words.counted("latency.measured", rounds, device=facts.device, threads=threads(facts, words), precision=precision)
    return f"{measured} {words.say(f'latency.{kind}_shown', coverage=coverage)}"
