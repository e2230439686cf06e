"""What LoRA and the adapters of this run are: where they sit, what they compute and how they start."""

from stages.report.facts import Facts
from stages.report.language import Language, sentence


def lora(facts: Facts, words: Language) -> str:
    """Rank, alpha, place, formula and start of LoRA."""
    peft = facts.params.peft
    scaled = "sqrt" if peft.use_rslora else "plain"
    dora = words.say("lora.dora") if peft.use_dora else ""
    main = words.say(
        "lora.main",
        rank=peft.rank,
        alpha=f"{peft.alpha:g}",
        target=words.say(f"lora.target.{peft.target}"),
        factor=words.say(f"lora.factor.{scaled}"),
        start=words.say(f"lora.init.{peft.init}"),
    )
    return sentence((main, words.say("lora.rslora") if peft.use_rslora else "", dora))


def adapter(facts: Facts, words: Language) -> str:
    """Width, place, formula and start of the adapters."""
    peft = facts.params.peft
    return words.say(f"adapters.{peft.adapter}", bottleneck=peft.bottleneck, scaling=f"{peft.scaling:g}")
