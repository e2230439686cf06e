"""What was measured on a GPU (`python -m experiments.on_gpu`): a reference with the embedded encoder and published ones.

It does not belong to this run, whose encoder, data and parameters may be others; the sentences name what they are about.
"""

import pandas as pd

from stages.project.schema import METHODS
from stages.report.facts import OWN, PEFT, Facts
from stages.report.gpu_tables import (
    KIND,
    SHOWN,
    at,
    both,
    largest,
    longest_passes,
    memory,
    name,
    precision_name,
    step_times,
    steps,
)
from stages.report.language import Language, sentence


def brief(facts: Facts, words: Language) -> str:
    """A training step of the smallest and the largest encoder, what both methods cost in passes and steps; "" if not measured."""
    if facts.gpu is None:
        return ""
    steps = facts.gpu["steps"]
    size = {"texts": steps["micro_batch_size"].iloc[0], "tokens": steps["length"].iloc[0]}
    times = "; ".join(
        _step(facts, words, encoder) for encoder in (OWN, largest(steps)) if step_times(steps, encoder, *SHOWN[0]) is not None
    )
    intro = words.say("gpu.intro", device=facts.gpu["machine"]["device"], times=times, **size)
    return f"{intro} {words.say('gpu.short', **_launched(facts, words), large=_large(facts, words))}"


def _step(facts: Facts, words: Language, encoder: str) -> str:
    """How long a step takes in fp32, in words."""
    assert facts.gpu is not None
    times = step_times(facts.gpu["steps"], encoder, *SHOWN[0])
    assert times is not None
    ratios = {method: f"{times[method] / times['full']:.2f}" for method in PEFT}
    return words.say("gpu.step", encoder=name(encoder, words), full=f"{times['full']:.1f}", **ratios)


def _large(facts: Facts, words: Language) -> str:
    """How much longer the largest forward pass of the largest encoder takes, in words; "" if it did not fit on that GPU."""
    assert facts.gpu is not None
    encoder = largest(facts.gpu["steps"])
    said = []
    for precision, _ in SHOWN:
        forward = longest_passes(facts.gpu["latency"], encoder, precision)
        if forward is not None:
            more = {method: f"{100 * (forward.loc[method, 'ratio_to_full'] - 1):+.0f}" for method in PEFT}
            said.append(words.say("gpu.more", precision=precision, **more))
    return words.say("gpu.large", encoder=name(encoder, words), more=", ".join(said)) if said else ""


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


def section(facts: Facts, words: Language) -> str:
    """The section of the details, with its heading; "" if nothing was measured."""
    if facts.gpu is None:
        return ""
    said = "\n".join(f"- {part(facts, words)}" for part in (launches, fits, trained))
    return f"## {words.say('gpu.heading')}\n\n{said}\n\n{both(facts, words)}\n\n{steps(facts, words)}\n\n{memory(facts, words)}"


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
