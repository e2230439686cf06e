"""Command line of predict: where the texts come from, which model classifies them, and where the predictions go."""

import argparse
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.predict.output import FORMATS, opened_output, output_names
from stages.predict.texts import OPTIONS, Text, Texts, Wanted, checked_arguments, texts_of_file, texts_of_stream
from stages.project.errors import UserError
from stages.project.files import read_json
from stages.project.paths import MODELS
from stages.project.running import report_errors
from stages.project.schema import METHODS, text_encoding
from stages.texts.options import DELIMITERS

BATCH_SIZE = 64
DESCRIPTION = (
    "Classify texts with a trained model: print the class of each text and the probabilities of all classes. The texts come from "
    "the command line, from a file, or from standard input, one per line or in a column of a table."
)
TABLE_HELP = "the input is a table with these texts: CSV, or by the suffix of --file JSON lines (.jsonl) or Parquet (.parquet)"
PRECISIONS = ("fp32", "bf16", "fp16")
PRECISION_HELP = "in which the model computes; fp16 needs a GPU (default: fp32)"
DELIMITER_HELP = "of the fields in CSV (default: that with which the header has the columns)"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    folder = checkpoint_folder(arguments.models, arguments.method)
    with opened_texts(arguments) as texts, opened_output(arguments.output) as stream:
        # imported late: these libraries take seconds to load, and --help or a wrong file name does not need them
        from tqdm import tqdm

        from stages.predict.classify import Classifier

        classifier = Classifier(folder, merge=arguments.method == "lora", precision=arguments.precision)
        terminal = arguments.output is None and sys.stdout.isatty()
        hidden = True if terminal else None  # None: hidden unless standard error is a terminal
        kept: deque[Sequence[Any]] = deque()  # of the texts that are being classified

        def plain() -> Iterator[str]:
            for row in texts.rows:
                kept.append(row.kept)
                yield row.text

        results = classifier.predict(plain(), arguments.batch_size)
        names = output_names(texts.names, classifier.names)
        for old, new in zip(texts.names, names, strict=True):
            if old != new:
                tell(f"the output has a column {old!r} of its own; yours is called {new!r} there")
        with tqdm(results, total=texts.total, unit=" texts", leave=False, disable=hidden) as predictions:
            rows = ((prediction, kept.popleft()) for prediction in predictions)
            stream.writelines(FORMATS[arguments.format](rows, classifier.names, names, shutil.get_terminal_size().columns))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line, with `format` resolved to its default."""
    parser = argparse.ArgumentParser(prog="python -m stages.predict", description=DESCRIPTION, allow_abbrev=False)
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to classify")
    parser.add_argument("--method", choices=METHODS, default="full", help="trained model to use (default: full)")
    parser.add_argument("--file", type=Path, help="read the texts from this file, one per line, or from a table (--text-column)")
    parser.add_argument("--text-column", metavar="COLUMN", help=TABLE_HELP)
    parser.add_argument("--keep", metavar="COLUMN", action="append", default=[], help="column of the table to copy to the output")
    parser.add_argument("--keep-all", action="store_true", help="copy all columns of the table to the output")
    parser.add_argument("--delimiter", choices=(*DELIMITERS, *DELIMITERS.values(), "auto"), default="auto", help=DELIMITER_HELP)
    parser.add_argument("--quotes", choices=("double", "none"), default="double", help="of fields in CSV (default: double)")
    parser.add_argument("--encoding", type=_encoding, default="auto", help="default: UTF-8, or what a byte order mark says")
    parser.add_argument("--missing", choices=("error", "drop"), default="error", help="rows without a text (default: error)")
    parser.add_argument("--format", choices=FORMATS, help="default: table on a terminal; jsonl for --output *.jsonl; else csv")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write here, completely or not at all, instead of printing")
    parser.add_argument("--batch-size", type=_positive, default=BATCH_SIZE, help=f"texts per pass (default: {BATCH_SIZE})")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help=PRECISION_HELP)
    parser.add_argument("--models", type=Path, default=MODELS, help=f"folder of the trained models (default: {MODELS})")
    arguments = parser.parse_intermixed_args(argv)  # texts before and after options
    if arguments.texts and (arguments.file or arguments.text_column):
        parser.error("give texts on the command line or in a file, not both")
    if (arguments.keep or arguments.keep_all) and arguments.text_column is None:
        parser.error("--keep and --keep-all need a table: name the column of its texts with --text-column")
    arguments.format = arguments.format or default_format(arguments.output, sys.stdout.isatty())
    return arguments


def _positive(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, received {value!r}")
    return int(value)


def _encoding(value: str) -> str:
    try:
        return text_encoding(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def tell(text: str) -> None:
    """Print what was guessed, beside the output."""
    print(text, file=sys.stderr)


def default_format(output: Path | None, terminal: bool) -> str:
    if output is None:
        return "table" if terminal else "csv"
    return "jsonl" if output.suffix == ".jsonl" else "csv"


def checkpoint_folder(models: Path, method: str) -> Path:
    """Return the folder of `method` in `models`.

    Raises:
        UserError: the checkpoint or its base model is missing; the message says how to get it.
    """
    folder = models / method
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder}: no trained model there; `dvc repro train_{method}` trains it, `dvc checkout {MODELS / method}` restores "
            "it from the cache, --models names a different folder"
        )
    with suppress(OSError, ValueError, KeyError, TypeError):  # a damaged file is named when the checkpoint is loaded
        base = read_json(folder / "base_model.json")["path"]
        if not Path(base).is_dir():
            raise UserError(
                f"{folder}: its base model {base} is not there; run the command in the project's folder, where "
                f"`dvc checkout {base}` or `dvc repro fetch` restores it"
            )
    return folder


@contextmanager
def opened_texts(arguments: argparse.Namespace) -> Iterator[Texts]:
    """Yield the texts that the arguments ask for.

    Raises:
        UserError: they cannot be read, or a table was given without a column.
    """
    options = replace(OPTIONS, delimiter=arguments.delimiter, quotes=arguments.quotes, encoding=arguments.encoding, tell=tell)
    drop = arguments.missing == "drop"
    wanted = Wanted(arguments.text_column, tuple(arguments.keep), arguments.keep_all, drop, options)
    if arguments.texts:
        given = checked_arguments(arguments.texts)
        yield Texts(map(Text, given), total=len(given))
    elif arguments.file:
        with texts_of_file(arguments.file, wanted) as texts:
            yield texts
    else:
        if sys.stdin.isatty():
            print("reading texts from the terminal, one per line; end with Ctrl-D", file=sys.stderr)
        yield texts_of_stream(sys.stdin.buffer, "standard input", wanted)


def run() -> None:
    """Call `main`; a user's mistake, Ctrl-C and a reader that closes the pipe end it without a traceback."""
    try:
        with report_errors():
            main()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        end_by(signal.SIGINT)
    except BrokenPipeError:
        end_by(signal.SIGPIPE)


def end_by(number: signal.Signals) -> None:
    """End as if the signal had not been caught, so that the shell sees which signal ended the process."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
