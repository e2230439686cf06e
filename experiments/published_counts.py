"""python -m experiments.published_counts

Counts the trained parameters of LoRA and of adapters in published encoders, from their configurations alone, beside the figures
of the papers; writes metrics/published_counts.csv and prints the table. It takes seconds and needs no weights.

The head is not counted: it depends on the task, and the papers' figures are of the encoder. The figures and settings are those of
Hu et al. 2022 (LoRA, tables 2 and 9), Houlsby et al. 2019 (table 1 and section 3.4) and Pfeiffer et al. 2021 (appendix A.4, which
gives widths and no counts). A figure without a setting in its paper is not here. Checked in copies of the papers' tables.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from stages.classifier.counting import count_parameters
from stages.methods.registry import method_of
from stages.plan_published.encoders import configuration
from stages.planning.models import unloaded_model
from stages.project.files import write_csv
from stages.project.parameters import load_params
from stages.project.paths import METRICS
from stages.project.schema import Params

HU, HOULSBY, PFEIFFER = "Hu et al. 2022", "Houlsby et al. 2019", "Pfeiffer et al. 2021"
QUERY_VALUE = "query and value"
BERT_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
ROBERTA_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
HEADER = ("encoder", "method", "setting", "parameters", "percent", "published", "source", "difference_percent", "note")


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        encoder: a name that `encoder` knows.
        method: lora or adapter.
        target: of LoRA: `QUERY_VALUE` (the paper's) or a value of `peft.target`; of adapters: a value of `peft.adapter`.
        size: rank or bottleneck.
        published: the paper's figure, as printed: millions ("0.3M") or percent of the encoder ("2.1%"); empty if it has none.
        source: paper and table.
        note: why ours differs, or what the row is.
        norms: also count the LayerNorms of the layers, which Houlsby et al. train and this project freezes.
    """

    encoder: str
    method: str
    target: str
    size: int
    published: str = ""
    source: str = ""
    note: str = ""
    norms: bool = False


ROUNDED = "rounding of the paper's figure"
FORMULA = (
    "ours is the formula of the paper's section 5.1, L (2 C r + r + C), without its term for LayerNorms, which are frozen here; "
    "the weights without biases are {weights:,} = {mebi:.2f} x 2^20, but the paper does not say that it counts so"
)
NORMS = "with the layers' LayerNorms, which the paper trains; {of_330:.2f} % of the paper's 330M for BERT-large; the rest is open"
ABOUT = "with the layers' LayerNorms, which the paper trains; it says approximately"
CASES = (
    Case("RoBERTa-base", "lora", QUERY_VALUE, 8, "0.3M", f"{HU}, tables 2 and 9", ROUNDED),
    Case("RoBERTa-large", "lora", QUERY_VALUE, 8, "0.8M", f"{HU}, tables 2 and 9", ROUNDED),
    Case("RoBERTa-large", "adapter", "pfeiffer", 64, "3.0M", f"{HU}, tables 2 and 9", FORMULA),
    Case("RoBERTa-large", "adapter", "pfeiffer", 16, "0.8M", f"{HU}, tables 2 and 9", FORMULA),
    Case("RoBERTa-large", "adapter", "houlsby", 64, "6.0M", f"{HU}, tables 2 and 9", FORMULA),
    Case("RoBERTa-large", "adapter", "houlsby", 8, "0.8M", f"{HU}, tables 2 and 9", FORMULA),
    Case("BERT-large", "adapter", "houlsby", 64, "2.1%", f"{HOULSBY}, table 1", NORMS, norms=True),
    Case("BERT-base", "adapter", "houlsby", 64, "2M", f"{HOULSBY}, section 3.4", ABOUT, norms=True),
    *(Case("BERT-base", "adapter", "pfeiffer", width, "", f"{PFEIFFER}, A.4", "no count there") for width in (384, 48, 12)),
)
OURS = tuple(
    Case(encoder, method, target, size, note="this project's default")
    for encoder in ("DistilBERT", "BERT-base", "BERT-large", "RoBERTa-base", "RoBERTa-large")
    for method, target, size in (("lora", "attention", 8), ("adapter", "pfeiffer", 64))
)


def main() -> None:
    """Write metrics/published_counts.csv and print it."""
    params = load_params()
    rows = [row(case, params) for case in (*CASES, *OURS)]
    path = METRICS / "published_counts.csv"
    write_csv(path, HEADER, rows)
    lines = [["encoder", "method", "parameters", "%", "published", "difference", "source"], *map(shown, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        left, right = zip(line, widths, strict=True), (2, 3, 4, 5)
        print("  ".join(f"{cell:{'>' if i in right else '<'}{width}}" for i, (cell, width) in enumerate(left)).rstrip())
    print(f"\n{path} written; its column note says why figures differ")


def row(case: Case, params: Params) -> tuple[Any, ...]:
    """The cells of `HEADER` for one case."""
    config = encoder(case.encoder)
    trained, total = count(case, params)
    weights = 2 * config.hidden_size * case.size * config.num_hidden_layers * (2 if case.target == "houlsby" else 1)
    setting = f"{case.target}, {'rank' if case.method == 'lora' else 'bottleneck'} {case.size}"
    percent = 100 * trained / total
    difference = "" if not case.published else round(100 * (measure(case, trained, total) / figure(case.published) - 1), 1)
    note = case.note.format(weights=weights, mebi=weights / 2**20, of_330=trained / 3.3e6)
    return case.encoder, case.method, setting, trained, round(percent, 3), case.published, case.source, difference, note


def shown(cells: tuple[Any, ...]) -> list[str]:
    """The cells that fit on a screen."""
    named = dict(zip(HEADER, cells, strict=True))
    difference = f"{named['difference_percent']:+.1f} %" if named["published"] else ""
    counted = [f"{named['parameters']:,}", f"{named['percent']:.2f}"]
    return [named["encoder"], f"{named['method']}, {named['setting']}", *counted, named["published"], difference, named["source"]]


def figure(published: str) -> float:
    """The printed figure as a number: parameters, or percent."""
    return float(published[:-1]) * (1e6 if published.endswith("M") else 1)


def measure(case: Case, trained: int, total: int) -> float:
    """Our number in the unit of the published one."""
    return 100 * trained / total if case.published.endswith("%") else trained


def count(case: Case, params: Params) -> tuple[int, int]:
    """Return how many parameters are trained without the head, and how many the encoder has, its pooler included."""
    config = encoder(case.encoder)
    peft: dict[str, Any] = {"rank": case.size} if case.method == "lora" else {"bottleneck": case.size, "adapter": case.target}
    if case.method == "lora":
        peft["target"] = "attention" if case.target == QUERY_VALUE else case.target
    params = params.model_copy(update={"peft": params.peft.model_copy(update=peft)})
    model = unloaded_model(config, 2, method_of(case.method), params)
    trained = count_parameters(model).trainable_body
    if case.target == QUERY_VALUE:  # the same rank beside two of the four projections
        trained -= sum(
            weight.numel() for name, weight in model.named_parameters() if "lora_" in name and not _is_query_or_value(name)
        )
    if case.norms:
        trained += sum(weight.numel() for name, weight in model.named_parameters() if ".layer." in name and "LayerNorm" in name)
    with torch.device("meta"):
        plain: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    return trained, sum(weight.numel() for weight in plain.base_model.parameters())


def _is_query_or_value(name: str) -> bool:
    return ".query." in name or ".value." in name


def encoder(name: str) -> PreTrainedConfig:
    """Return the configuration of a published encoder."""
    if name == "BERT-large":
        config = configuration("BERT-base")
        config.update(BERT_LARGE)
        return config
    if name == "RoBERTa-base":
        config = configuration("RoBERTa-large")
        config.update(ROBERTA_BASE)
        return config
    return configuration(name)


if __name__ == "__main__":
    main()
