"""python -m study.rates

Chooses the learning rate of each method and condition from the finished cells of `rates` and writes metrics/study/rates.json,
which the cells of the other series read. The rate with the highest validation macro F1, averaged over the seeds, is taken; of
equal ones that with the lower validation loss. It must lie inside the grid: at an edge the best may be beyond it.
"""

import sys
from statistics import mean

from stages.project.errors import UserError
from stages.project.files import read_json, write_json
from stages.project.running import report_errors
from study.definition import CONDITIONS, METHODS, RATE_OF, cells_of
from study.paths import CELLS, RATES
from study.settings import PARAMS, Study, load_study

Scores = dict[float, tuple[float, float]]  # by rate: mean F1, and mean loss with a minus sign


def main() -> None:
    chosen = choose_rates(load_study())
    write_json(RATES, chosen)
    for method, rates in chosen.items():
        print(f"{method:8} " + "  ".join(f"{condition} {rate:g}" for condition, rate in rates.items()))


def choose_rates(study: Study) -> dict[str, dict[str, float]]:
    """Return the chosen rate by method and condition.

    Raises:
        UserError: cells are missing, or the best rate is at an edge of its grid; the message names all that are.
    """
    best: dict[tuple[str, str], float] = {}
    edges = []
    for method in METHODS:
        for condition in study.rates.conditions:
            scores = mean_scores(study, method, condition)
            rate = max(scores, key=lambda tried: scores[tried])
            best[method, condition] = rate
            if rate in (min(scores), max(scores)):
                where, more = ("smallest", "smaller") if rate == min(scores) else ("largest", "larger")
                tried = ", ".join(f"{tried:g}: {scores[tried][0]:.4f}" for tried in sorted(scores))
                edges.append(
                    f"rates.grid.{method}: for {condition}, {rate:g} is best and the {where} (F1 {tried}); add a {more} one"
                )
    if edges:
        raise UserError("\n  ".join([f"{PARAMS}: the best learning rate must be inside the grid", *edges]))
    return {method: {condition: best[method, RATE_OF[condition]] for condition in CONDITIONS} for method in METHODS}


def mean_scores(study: Study, method: str, condition: str) -> Scores:
    """Return, per rate of the grid, mean F1 and negative mean loss on validation over the seeds."""
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


if __name__ == "__main__":
    with report_errors():
        if sys.argv[1:]:
            raise UserError(f"python -m study.rates takes no arguments, received {sys.argv[1:]}")
        main()
