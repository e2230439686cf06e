"""The learning rates that the study chose, in metrics/study/rates.json: {method: {condition: rate}}."""

from stages.project.errors import UserError
from stages.project.files import read_json
from study.definition import Cell
from study.paths import RATES


def learning_rate_of(cell: Cell) -> float:
    """Return the learning rate at which `cell` trains.

    Raises:
        UserError: it is to be the chosen one, and none has been chosen yet.
    """
    if cell.learning_rate is not None:
        return cell.learning_rate
    condition = cell.rate_condition or cell.condition
    try:
        chosen = read_json(RATES)[cell.method][condition]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{RATES}: no learning rate of {cell.method}, {condition} ({type(error).__name__}: {error}); run `make study`, which "
            "tries the rates first, or `python -m study.rates` if these cells are finished"
        ) from None
    return float(chosen) * cell.factor
