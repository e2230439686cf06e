"""The user's own files in data/fetched: which is for which split, and what the user calls it."""

from pathlib import Path

from stages.classifier.splits import SPLITS
from stages.project.errors import UserError
from stages.project.schema import CsvParams
from stages.texts.split_words import split_of

ONE_FILE = "reviews"  # under this name, with its own suffix, `fetch` stores a single file


def user_files(folder: Path, params: CsvParams) -> dict[str, tuple[Path, str]]:
    """Return for each split the file in `folder` and the user's name for it; a single file is listed as train.

    Raises:
        UserError: there is none, or there are several although a column is to say which split a row is for.
    """
    files = {split: path for path in sorted(folder.glob("*")) if path.is_file() and (split := split_of(path.stem))}
    if "train" not in files:
        single = next(folder.glob(f"{ONE_FILE}.*"), None)
        if single is None:
            raise UserError(f"{folder}: has no texts; run the stage fetch first")
        return {"train": (single, params.path)}
    if params.split_column is not None:
        raise UserError(
            f"data.csv.split_column: {params.split_column!r}, but data.csv.path ({params.path}) is a folder, whose file "
            "names say which split a row is for; set split_column to null, or path to one file"
        )
    named = {split: getattr(params, f"{split}_file") for split in SPLITS}
    return {
        split: (files[split], (Path(params.path) / (named[split] or files[split].name)).as_posix())
        for split in SPLITS
        if split in files
    }
