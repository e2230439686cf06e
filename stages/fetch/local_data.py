"""The user's own texts, copied from one file, or from a folder with one per split."""

import shutil
from pathlib import Path

from stages.project.errors import UserError
from stages.project.schema import CsvParams
from stages.texts.split_words import EXPECTED, SPLIT_WORDS, split_of
from stages.texts.table import FORMATS, check_suffix

ONE_FILE = "reviews"
SPLITS = tuple(dict.fromkeys(SPLIT_WORDS.values()))
# what belongs to a folder and is no table
BESIDES = ("readme", "license", "licence", "citation", "thumbs.db", "desktop.ini")
GIT = (
    "If it exists here, `dvc exp run --temp` and `--queue` do not see it, because they take files from git: commit it, or "
    "`dvc add` it and commit the .dvc file, or give an absolute path"
)


def copy_data(params: CsvParams, target: Path) -> None:
    """Copy the tables that `data.csv` names into the folder `target`, byte for byte.

    A single file is stored as reviews, with its own suffix. From a folder, those files are copied whose names are a word for
    a split (`SPLIT_WORDS`), or those that `train_file`, `validation_file` and `test_file` name.

    Raises:
        UserError: a file is missing, empty, or in a format that cannot be read; the folder has no file for train, two for one
            split, or one that is for no split.
    """
    path = Path(params.path)
    if path.is_dir():
        named = params.train_file is not None
        for split, file in (_named_files(path, params) if named else _files_by_word(path)).items():
            _copy_file(file, target / (f"{split}{_suffix(file)}" if named else file.name))
    elif not path.is_file():
        raise UserError(f"data.csv.path: {path} is neither a file nor a folder, expected the path of a table. {GIT}")
    elif params.train_file is not None:
        raise UserError(
            f"data.csv.train_file: {params.train_file!r}, but data.csv.path ({path}) is a file; set path to the folder that "
            "holds the files of all splits, or train_file (and validation_file and test_file) to null"
        )
    else:
        _copy_file(path, target / f"{ONE_FILE}{_suffix(path)}")


def _suffix(path: Path) -> str:
    """Return the suffix that says how the copy is read."""
    return path.suffix.lower() if path.suffix.lower() in FORMATS else ".csv"


def _named_files(folder: Path, params: CsvParams) -> dict[str, Path]:
    """Return the files that the parameters name, by split."""
    names = {split: getattr(params, f"{split}_file") for split in SPLITS}
    files = {split: folder / name for split, name in names.items() if name is not None}
    for split, file in files.items():
        if not file.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"data.csv.{split}_file: {names[split]!r} is outside of data.csv.path ({folder}), so DVC would not see when it "
                "changes; set path to a folder that holds all files"
            )
        if not file.is_file():
            raise UserError(f"data.csv.{split}_file: {file}: no such file; the folder contains {_listed(_entries(folder))}")
    if len(set(files.values())) < len(files):
        listed = ", ".join(f"{split}_file: {name!r}" for split, name in names.items())
        raise UserError(f"data.csv: each split needs a file of its own, received {listed}")
    used = {file.relative_to(folder).parts[0] for file in files.values()}
    if others := [name for name in _entries(folder) if name not in used]:
        print(f"{folder}: not named, so not read: {_listed(others)}")
    return files


def _files_by_word(folder: Path) -> dict[str, Path]:
    """Return the files in `folder` by split, which their names say."""
    names = _entries(folder)
    files: dict[str, Path] = {}
    expected = f"expected files whose names are {EXPECTED}, such as train.csv; or name them in data.csv.train_file, ..."
    for name in names:
        split = split_of(Path(name).stem) if (folder / name).is_file() else None
        if split in files:
            raise UserError(f"{folder}: {files[split].name} and {name} are both for {split}; remove or rename one of them")
        if split:
            files[split] = folder / name
    unused = [name for name in names if folder / name not in files.values()]
    if "train" not in files:
        raise UserError(f"data.csv.path: the folder {folder} has no file for train, it contains {_listed(names)}; {expected}")
    if unused:
        raise UserError(f"data.csv.path: the folder {folder} contains {_listed(unused)}, which no split would use; {expected}")
    return {split: files[split] for split in SPLITS if split in files}


def _entries(folder: Path) -> list[str]:
    """Return the names in `folder`, without hidden files, those of DVC, and what describes the data."""
    names = sorted(entry.name for entry in folder.iterdir())
    return [name for name in names if not (name.startswith(".") or name.endswith(".dvc") or name.lower().startswith(BESIDES))]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") or "nothing"


def _copy_file(path: Path, target: Path) -> None:
    check_suffix(path)
    if not path.stat().st_size:
        raise UserError(f"data.csv.path: {path} is empty; expected a header line and at least one row per class")
    shutil.copyfile(path, target)
    print(f"{path}: {path.stat().st_size:,} bytes copied")
