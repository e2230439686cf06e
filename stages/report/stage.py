"""Write REPORT.md and metrics/headline.json from the metric files of all stages."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.presentation.titles import METHOD_LABELS
from stages.project.files import write_json, write_text
from stages.project.parameters import load_params
from stages.project.paths import METRICS
from stages.project.schema import METHODS
from stages.report import memory, origins, phrases, tables
from stages.report.facts import Facts, load_facts

TEMPLATE = Path(__file__).with_name("report.md.j2")
REPORT = Path("REPORT.md")


def main() -> None:
    params = load_params()
    facts = load_facts(params)
    write_text(REPORT, render(facts))
    write_json(METRICS / "headline.json", facts.quality[params.report.method])
    print(f"{REPORT} written; metrics/headline.json has the metrics of {METHOD_LABELS[params.report.method]}")


def render(facts: Facts) -> str:
    """Return the report as Markdown; an undefined name in the template is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template(TEMPLATE.name)
    transfer = [key.removeprefix("transfer_").removesuffix("_f1") for key in facts.quality["full"] if key.startswith("transfer_")]
    modules = {"tables": tables, "phrases": phrases, "memory": memory, "origins": origins}
    return template.render(facts=facts, params=facts.params, methods=METHODS, labels=METHOD_LABELS, transfer=transfer, **modules)
