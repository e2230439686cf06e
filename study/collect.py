"""python -m study.collect

Writes metrics/study/cells.csv: a row for every finished cell, with all that its file says but the predictions.
"""

import pandas as pd

from stages.project.errors import UserError
from stages.project.files import read_json, write_text
from stages.project.running import report_errors
from study.definition import cells_of
from study.paths import CELLS, TABLE
from study.settings import load_study

LEFT_OUT = ("test_predictions",)


def main() -> None:
    cells = cells_of(load_study())
    rows = [_read(name) for name in cells if (CELLS / f"{name}.json").is_file()]
    if not rows:
        print("no cell is finished yet")
        return
    table = pd.DataFrame(rows).drop(columns=list(LEFT_OUT))
    whole = [name for name in ("seed", "split_seed", "rows", "epochs", "best_epoch", "trainable", "peft_rank") if name in table]
    table = table.astype(dict.fromkeys(whole, "Int64"))  # a rank that only LoRA has stays a whole number
    write_text(TABLE, table.to_csv(index=False, lineterminator="\n"))
    others = sorted(path.stem for path in CELLS.glob("*.json") if path.stem not in cells)
    print(f"{TABLE}: {len(rows)} of {len(cells)} cells")
    if others:
        print(f"left out, as study/params.yaml has no such cell: {', '.join(others)}")


def _read(name: str) -> dict:
    path = CELLS / f"{name}.json"
    try:
        return read_json(path)
    except ValueError as error:
        raise UserError(f"{path}: no JSON ({error}); delete it and run make study CELL={name}") from None


if __name__ == "__main__":
    with report_errors():
        main()
