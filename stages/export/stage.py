"""Export trained models: a folder for each method that needs nothing of this project, with its model card."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stages.export.card import model_card
from stages.export.facts import read_card_facts
from stages.export.folders import check_target, export
from stages.project.errors import UserError
from stages.project.paths import MODELS
from stages.project.schema import METHODS

TARGET = Path("exported")


def main(argv: Sequence[str] | None = None) -> None:
    """Check everything, then export: what is missing is named before anything is written."""
    arguments = parse(argv)
    methods = [arguments.method] if arguments.method else METHODS
    check(methods, arguments.to)
    cards = {method: model_card(read_card_facts(MODELS / method)) for method in methods}
    for method, card in cards.items():
        export(MODELS / method, arguments.to / method, card)
        print(f"{arguments.to / method} written; {arguments.to / method / 'README.md'} says how to load it", flush=True)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stages.export", description="Write trained models to folders that need nothing of this project."
    )
    parser.add_argument("--method", choices=METHODS, help="export only this one (default: all)")
    parser.add_argument("--to", type=Path, default=TARGET, metavar="FOLDER", help=f"where to write (default: {TARGET})")
    return parser.parse_args(argv)


def check(methods: Sequence[str], to: Path) -> None:
    """Refuse what cannot be exported, or would overwrite anything but an export.

    Raises:
        UserError: a method has no checkpoint, or a target is the folder of the checkpoints or holds something else.
    """
    if to.resolve() == MODELS.resolve():
        raise UserError(f"--to {to}: that is where the checkpoints are; name another folder, such as {TARGET}")
    missing = [method for method in methods if not (MODELS / method / "config.json").is_file()]
    if missing:
        stages = " ".join(f"train_{method}" for method in missing)
        raise UserError(
            f"{', '.join(str(MODELS / method) for method in missing)}: no trained model there; `dvc repro {stages}` trains what "
            "is missing, --method exports one that is there"
        )
    for method in methods:
        check_target(to / method)
