"""python -m study.rates

Chooses the learning rate of each method and condition from the finished cells of `rates` and writes metrics/study/rates.json,
which the cells of the other series read. The rate with the highest validation macro F1, averaged over the seeds, is taken; of
equal ones that with the lower validation loss. It must lie inside the grid: at an edge the best may be beyond it. Until it does,
nothing is chosen for that method and condition; `make study` adds rates beyond the edge by itself, see `extend`.
"""

import re
import sys
from statistics import mean
from typing import NamedTuple

from stages.project.errors import UserError
from stages.project.files import read_json, write_json, write_text
from stages.project.running import report_errors
from study.definition import CONDITIONS, METHODS, RATE_OF, cells_of
from study.paths import CELLS, RATES
from study.settings import PARAMS, Study, load_study

Scores = dict[float, tuple[float, float]]  # by rate: mean F1, and mean loss with a minus sign
FACTOR = 2.0  # between the last rate of a grid and one that is added


class Edge(NamedTuple):
    """The best rate of a method under a condition, if it is the smallest or the largest of its grid."""

    method: str
    condition: str
    best: float
    scores: Scores

    @property
    def beyond(self) -> float:
        """The rate that is to be tried next."""
        return float(f"{self.best / FACTOR if self.best == min(self.scores) else self.best * FACTOR:.3g}")

    def __str__(self) -> str:
        where = "smallest" if self.best == min(self.scores) else "largest"
        tried = ", ".join(f"{rate:g}: {self.scores[rate][0]:.4f}" for rate in sorted(self.scores))
        return (
            f"rates.grid.{self.method}: for {self.condition}, {self.best:g} is best and the {where} (F1 {tried}); "
            f"add {self.beyond:g}"
        )


def main() -> list[str]:
    """Write and print the chosen rates; return why some could not be chosen."""
    chosen, faults = choose_rates(load_study())
    write_json(RATES, chosen)
    for method, rates in chosen.items():
        print(f"{method:8} " + "  ".join(f"{condition} {rate:g}" for condition, rate in rates.items()), flush=True)
    return faults


def choose_rates(study: Study) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return the chosen rate by method and condition, without those that cannot be chosen, and why they cannot."""
    best: dict[tuple[str, str], float] = {}
    faults = []
    for method in METHODS:
        for condition in study.rates.conditions:
            try:
                scores = mean_scores(study, method, condition)
            except UserError as error:
                faults.append(str(error))
                continue
            if edge := edge_of(method, condition, scores):
                faults.append(str(edge))
            else:
                best[method, condition] = best_of(scores)
    chosen = {
        method: {condition: best[method, RATE_OF[condition]] for condition in CONDITIONS if (method, RATE_OF[condition]) in best}
        for method in METHODS
    }
    return chosen, faults


def best_of(scores: Scores) -> float:
    return max(scores, key=lambda tried: scores[tried])


def edge_of(method: str, condition: str, scores: Scores) -> Edge | None:
    best = best_of(scores)
    return Edge(method, condition, best, scores) if best in (min(scores), max(scores)) else None


def edges_of(study: Study) -> list[Edge]:
    """Return the best rates that are at an edge of their grid, of those methods and conditions whose cells are all finished."""
    found = []
    for method in METHODS:
        for condition in study.rates.conditions:
            try:
                scores = mean_scores(study, method, condition)
            except UserError:
                continue
            found.append(edge_of(method, condition, scores))
    return [edge for edge in found if edge]


def mean_scores(study: Study, method: str, condition: str) -> Scores:
    """Return, per rate of the grid, mean F1 and negative mean loss on validation over the seeds.

    Raises:
        UserError: a cell is not finished.
    """
    cells = [cell for cell in cells_of(study).values() if (cell.group, cell.condition) == (f"rates_{method}", condition)]
    try:
        rows = [read_json(CELLS / f"{cell.name}.json") for cell in cells]
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: the cell is not finished; `make study` runs what is missing") from None
    tried: dict[float, list[dict]] = {cell.learning_rate: [] for cell in cells if cell.learning_rate is not None}
    for row in rows:
        tried[row["learning_rate"]].append(row)
    return {
        rate: (mean(row["validation_f1"] for row in found), -mean(row["validation_loss"] for row in found))
        for rate, found in tried.items()
    }


def extend(edges: list[Edge]) -> bool:
    """Add the rates beyond `edges` to their grids in study/params.yaml, one line each; return whether that could be done.

    Cells that there are stay as they are: a grid is in the key of none. A file in which a grid is not a list on one line is left
    alone.
    """
    text = PARAMS.read_text(encoding="utf-8")
    for method in dict.fromkeys(edge.method for edge in edges):
        found = re.search(rf"\n  grid:\n(?:    .*\n)*?    {method}: \[([^]\n]*)\]", text)
        if not found:
            return False
        grid = {float(rate) for rate in found[1].split(",")} | {edge.beyond for edge in edges if edge.method == method}
        text = text[: found.start(1)] + ", ".join(map(_yaml, sorted(grid))) + text[found.end(1) :]
    write_text(PARAMS, text)
    return True


def _yaml(number: float) -> str:
    """A number as YAML 1.1 reads it as one: 1.0e-05, where 1e-05 would be a string."""
    return text.replace("e", ".0e") if "e" in (text := repr(number)) and "." not in text else text


if __name__ == "__main__":
    with report_errors():
        if sys.argv[1:]:
            raise UserError(f"python -m study.rates takes no arguments, received {sys.argv[1:]}")
        if missing := main():
            raise UserError("\n  ".join([f"{PARAMS}: not every learning rate can be chosen", *missing]))
