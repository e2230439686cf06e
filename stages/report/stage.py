"""Write the reports in both languages and metrics/headline.json from the metric files of all stages."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.presentation.figures import save_figure
from stages.presentation.titles import METHOD_LABELS
from stages.project.files import read_json, write_json, write_text
from stages.project.parameters import load_params
from stages.project.paths import METRICS, PLOTS, REPORTS
from stages.report import (
    classes,
    epochs,
    fits,
    gpu,
    latency,
    memory,
    methods,
    origins,
    prepared,
    quality,
    series,
    study,
    tables,
    training,
    verdicts,
)
from stages.report.cost import cost_figure, cost_table, tidy_costs
from stages.report.facts import Facts, load_facts
from stages.report.filling import fill
from stages.report.language import Language

TEMPLATES = Path(__file__).with_name("templates")
# each document by language
DOCUMENTS = {
    ("report", "en"): Path("REPORT.md"),
    ("report", "es"): Path("INFORME.md"),
    ("details", "en"): REPORTS / "details.md",
    ("details", "es"): REPORTS / "detalles.md",
}
PARTS = (
    classes, epochs, fits, gpu, latency, memory, methods, origins, prepared, quality, series, study, tables, training, verdicts,
)  # fmt: skip


def main() -> None:
    params = load_params()
    facts = load_facts(params)
    texts = {path: render(facts, *document) for document, path in DOCUMENTS.items()}
    for path, text in texts.items():
        write_text(path, text)
    write_cost(facts)
    write_json(METRICS / "headline.json", read_json(METRICS / f"{params.report.method}.json"))
    written = ", ".join(str(path) for path in texts)
    print(f"{written} written; metrics/headline.json has the metrics of {METHOD_LABELS[params.report.method]}")


def write_cost(facts: Facts) -> None:
    """Write plots/cost.csv and plots/cost.png: what each method takes for its quality. They hold timings."""
    table = cost_table(facts)
    learned = {arm: ("lora" if arm == "lora_merged" else arm) not in facts.failed for arm in table["method"]}
    write_text(PLOTS / "cost.csv", tidy_costs(table, learned).to_csv(index=False, lineterminator="\n"))
    shape = f" (batch {facts.latency['batch_size'].min()}, {facts.latency['length'].max()} tokens)"
    save_figure(cost_figure(table, learned, facts.params.evaluate.confidence, shape), PLOTS / "cost.png")


def render(facts: Facts, document: str, code: str) -> str:
    """Return a document as Markdown; an undefined name in its template is an error.

    Args:
        document: "report", or "details" for what is too long for it.
        code: of the language, "en" or "es".
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined)
    words = Language(code)
    parts = {part.__name__.rpartition(".")[2]: _bound(part, facts, words) for part in PARTS}
    return fill(environment.get_template(f"{document}.{code}.md.j2").render(facts=facts, params=facts.params, **parts))


def _bound(part: ModuleType, facts: Facts, words: Language) -> SimpleNamespace:
    """The functions of a module that say something, with their first two arguments: a template only names what to say."""

    def says(function: Callable) -> bool:
        return getattr(function, "__module__", None) == part.__name__ and not function.__name__.startswith("_")

    return SimpleNamespace(**{name: partial(value, facts, words) for name, value in vars(part).items() if says(value)})
