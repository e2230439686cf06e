"""python -m study.cells [--names]

Lists the cells of the study by series: how many there are, how many are finished, and for how long the others will take.
--names lists every cell with its state in place of the table.
"""

import sys

from stages.project.durations import in_words
from stages.project.errors import UserError
from stages.project.running import report_errors
from study import budget
from study.definition import Cell, cells_of
from study.run import cores, missing
from study.settings import Study, load_study


def main() -> None:
    if sys.argv[1:] not in ([], ["--names"]):
        raise UserError(f"python -m study.cells takes no argument but --names, received {sys.argv[1:]}")
    study = load_study()
    cells = list(cells_of(study).values())
    open_cells = {cell.name for cell in missing(cells)}
    if sys.argv[1:]:
        for cell in cells:
            print(f"{'missing ' if cell.name in open_cells else 'finished'}  {cell.name}")
    else:
        print(table(study, cells, open_cells))


def table(study: Study, cells: list[Cell], open_cells: set[str]) -> str:
    """Return the table, and below it the hours of the whole study against its budget.

    Hours of all cells are those of the machine whose speeds study/params.yaml has, two cells at once; the rest is for this one.
    """
    sizes = budget.texts_in_sets()
    factor, jobs = budget.correction(cells, study, sizes), cores()
    lines = [f"{'series':12} {'cells':>6} {'finished':>9} {'missing':>8} {'hours in all':>13} {'hours left':>11}"]
    total = left = 0.0
    for series in dict.fromkeys(cell.series for cell in cells):
        members = [cell for cell in cells if cell.series == series]
        hours = sum(budget.seconds_of(cell, study, sizes) for cell in members) / 2 / 3600
        of_these = [cell for cell in members if cell.name in open_cells]
        rest = factor * sum(budget.seconds_of(cell, study, sizes) for cell in of_these) / jobs / 3600
        finished = len(members) - len(of_these)
        lines.append(f"{series:12} {len(members):6} {finished:9} {len(of_these):8} {hours:13.2f} {rest:11.2f}")
        total, left = total + hours, left + rest
    lines.append(f"{'all':12} {len(cells):6} {len(cells) - len(open_cells):9} {len(open_cells):8} {total:13.2f} {left:11.2f}")
    fits = "within" if total <= study.budget.hours else "MORE THAN"
    lines.append(
        f"{total:.1f} hours in all on two cores, {fits} the budget of {study.budget.hours:g}; left here, "
        f"{jobs} at once: {in_words(left * 3600)}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    with report_errors():
        main()
