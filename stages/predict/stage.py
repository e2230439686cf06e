"""python -m stages.predict --method lora "a wonderful film" "two hours of my life"

Classifies texts with a model that a train stage saved, and prints each text's class and the probabilities of all classes,
in the order of the texts. They come from the command line, from --file (one a line, or with --text-column a column of a CSV
file), or from standard input (one a line, or CSV with --text-column). An empty text is refused with the number of its line.
White space and accents are read as training read them, and printed as they came.

Reads models/{method}, for LoRA and the adapter also models/base; no params.yaml, no data. It is no stage of dvc.yaml, and
any number of them may run beside a stage.
"""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stages.predict.output import FORMATS, opened_output
from stages.predict.texts import checked_arguments, read_texts, texts_of_file
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import MODELS
from stages.project.running import report_errors
from stages.project.schema import METHODS

BATCH_SIZE = 64


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    folder = checkpoint_folder(arguments.models, arguments.method)
    with opened_texts(arguments) as (texts, total), opened_output(arguments.output) as stream:
        # not at the top: loading the libraries takes seconds, --help and a wrong file name need none of them
        from tqdm import tqdm

        from stages.predict.classify import Classifier

        classifier = Classifier(folder, merge=arguments.method == "lora")
        terminal = arguments.output is None and sys.stdout.isatty()
        bar = {"total": total, "unit": " texts", "leave": False, "disable": True if terminal else None}
        with tqdm(**bar) as progress:
            predictions = counted(classifier.predict(texts, arguments.batch_size), progress)
            lines = FORMATS[arguments.format](predictions, classifier.names, shutil.get_terminal_size().columns)
            stream.writelines(lines)


def counted(predictions: Iterator, progress) -> Iterator:
    for prediction in predictions:
        yield prediction
        progress.update()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments; `format` is resolved: never None."""
    lines = __doc__.strip().splitlines()
    parser = argparse.ArgumentParser(prog="python -m stages.predict", description=" ".join(lines[2:6]), allow_abbrev=False)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to classify")
    parser.add_argument("--method", choices=METHODS, default="full", help="which of the trained models (default: full)")
    parser.add_argument("--file", type=Path, help="read the texts from this file, one a line")
    parser.add_argument("--text-column", metavar="COLUMN", help="the file is CSV with a header line; this column has the texts")
    parser.add_argument("--format", choices=FORMATS, help="default: table on a terminal; jsonl for --output *.jsonl; else csv")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write here, whole or not at all, instead of printing")
    parser.add_argument("--batch-size", type=_positive, default=BATCH_SIZE, help=f"texts at a time (default: {BATCH_SIZE})")
    parser.add_argument("--models", type=Path, default=MODELS, help=f"folder of the trained models (default: {MODELS})")
    arguments = parser.parse_intermixed_args(argv)  # texts before and after options
    if arguments.texts and (arguments.file or arguments.text_column):
        parser.error("give texts on the command line or in a file, not both")
    arguments.format = arguments.format or default_format(arguments.output, sys.stdout.isatty())
    return arguments


def _positive(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of 1 or more was expected, received {value!r}")
    return int(value)


def default_format(output: Path | None, terminal: bool) -> str:
    if output is None:
        return "table" if terminal else "csv"
    return "jsonl" if output.suffix == ".jsonl" else "csv"


def checkpoint_folder(models: Path, method: str) -> Path:
    """Return the folder of `method` in `models`.

    Raises:
        UserError: there is no checkpoint in it, or its base model is not there; the message says what brings it.
    """
    folder = models / method
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder}: no trained model there; `dvc repro train_{method}` trains it, `dvc checkout {MODELS / method}` brings "
            "back one from the cache, --models names another folder"
        )
    with suppress(OSError, ValueError, KeyError, TypeError):  # a damaged file is named when the checkpoint is loaded
        base = read_json(folder / "base_model.json")["path"]
        if not Path(base).is_dir():
            raise UserError(
                f"{folder}: its base model {base} is not there; run the command in the project's folder, where "
                f"`dvc checkout {base}` or `dvc repro fetch` brings it"
            )
    return folder


@contextmanager
def opened_texts(arguments: argparse.Namespace) -> Iterator[tuple[Iterator[str], int | None]]:
    """Yield the texts that the arguments ask for, and their number if it is known.

    Raises:
        UserError: they cannot be read, or a CSV file was named without a column.
    """
    if arguments.texts:
        texts = checked_arguments(arguments.texts)
        yield iter(texts), len(texts)
    elif arguments.file:
        if arguments.file.suffix.lower() == ".csv" and arguments.text_column is None:
            raise UserError(f"{arguments.file}: which column has the texts? name it with --text-column")
        with texts_of_file(arguments.file, arguments.text_column) as (texts, total):
            yield texts, total
    else:
        if sys.stdin.isatty():
            print("reading texts from the terminal, one a line; end with Ctrl-D", file=sys.stderr)
        yield read_texts(sys.stdin.buffer, "standard input", arguments.text_column), None


def run() -> None:
    """Call `main`; end without a traceback for a user's mistake, for Ctrl-C, and when nobody reads the output any more."""
    try:
        with report_errors():
            main()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        end_by(signal.SIGINT)
    except BrokenPipeError:
        end_by(signal.SIGPIPE)


def end_by(number: signal.Signals) -> None:
    """End as the signal would have ended a program that does not catch it, which is what a shell looks at."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
