"""What fits into the memory budget, for the encoder in models/base."""

from tqdm import tqdm

from stages.classifier.config import read_config
from stages.planning.table import plan, write_plan
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.parameters import load_params
from stages.project.paths import BASE_MODEL, METRICS
from stages.project.schema import METHODS

OWN = "this encoder"  # its name in the table


def main() -> None:
    """Write metrics/memory_plan.csv. It takes seconds, in this process: new ones would spend longer loading the libraries."""
    params, classes = load_params(), number_of_classes()
    rows = [
        row
        for method in tqdm(METHODS, desc="memory plan", unit="method", disable=None)
        for row in plan(OWN, read_config(BASE_MODEL), classes, method, params)
    ]
    write_plan(METRICS / "memory_plan.csv", rows)


def number_of_classes() -> int:
    """Return how many classes the data have: all of the data that memory depends on.

    Raises:
        UserError: metrics/data.json is missing or does not say.
    """
    path = METRICS / "data.json"
    try:
        return int(read_json(path)["number_of_classes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise UserError(f"{path}: number_of_classes cannot be read ({reason}); run the stage prepare first") from None
