"""A labelled data set of the Hugging Face Hub at a pinned commit.

One Arrow stream a split is written, columns text and label: any text comes back exactly, whatever it holds, and equal rows
give equal bytes, for which neither CSV (NUL, line ends) nor Parquet (the writer's version in the file) is a match.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetBuilder, Value
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES as PROGRAMS
from huggingface_hub.errors import LocalEntryNotFoundError
from yaml import YAMLError

from stages.fetch.hub import CACHE, SITE, causes, check_data_name, disk_fault, faults_of_the_hub, newest, told
from stages.project.errors import UserError
from stages.project.schema import HubDataParams

FORMATS = {"arrow", "cache", "csv", "json", "parquet"}  # tables; cache: those that the library has prepared before
LABEL_TYPES = ("string", "large_string", "bool", "int", "uint", "float")  # beginnings of names
BATCH = 1000  # rows


def fetch_data(params: HubDataParams, target: Path) -> None:
    """Write train.arrow and, where splits are named for them, validation.arrow and test.arrow into `target`.

    A ClassLabel column gives class names in its order; other labels are written as text: strings as they are without
    surrounding space, whole numbers in digits, true and false.

    Raises:
        UserError: a name that is none on the Hub or that of a folder here; no network, no access, no such data set or commit;
            what `write_splits` refuses.
    """
    check_data_name(params)
    write_splits(params, CACHE / "datasets" / params.revision, target)


def write_splits(params: HubDataParams, cache: Path, target: Path) -> None:
    """Write what `fetch_data` says, from whatever the library finds under the name, which is not checked here.

    Args:
        cache: folder for prepared tables, one a commit: without network the library takes the last that it finds there.

    Raises:
        UserError: no such configuration, split or column; files in a format other than csv, json, parquet or arrow; texts that
            are no strings, or null; labels that are fractions, null, empty, or missing (-1 of a ClassLabel); and what the Hub
            answers in place of files.
    """
    with _settings(), faults_of_the_hub("data.hub", params.name, params.revision, "datasets/"):
        builder = _prepared(params, cache)
        for part, key in (("train", "split"), ("validation", "validation_split"), ("test", "test_split")):
            wanted = getattr(params, key)
            if wanted is not None:
                rows = _split(builder, key, wanted)
                _check_columns(rows, params)
                _write(target / f"{part}.arrow", rows, wanted, params)
                print(f"{params.name}: {len(rows):,} rows of {wanted} for {part}")


@contextmanager
def _settings() -> Iterator[None]:
    """Only errors from the library, bars on a terminal only, repositories' files in the checkout's `CACHE`, not in the user's."""
    CACHE.mkdir(parents=True, exist_ok=True)
    verbosity, bars = datasets.utils.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    kept = huggingface_hub.constants.HF_HUB_CACHE
    datasets.utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    huggingface_hub.constants.HF_HUB_CACHE = str((CACHE / "hub").resolve())  # the library has no option for it
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_CACHE = kept
        datasets.utils.logging.set_verbosity(verbosity)
        if not bars:
            datasets.enable_progress_bars()


def _prepared(params: HubDataParams, cache: Path) -> DatasetBuilder:
    """What `datasets.load_dataset` does before it takes a split, with a look at the format before a data file is read."""
    if params.name in PROGRAMS:  # the library would take whatever lies in the current folder
        raise UserError(f"data.hub.name: {params.name} is a format, no data set; one like owner/name was expected")
    try:
        builder = datasets.load_dataset_builder(params.name, params.config, revision=params.revision, cache_dir=str(cache))
        modules = [kind.__module__.split(".") for kind in type(builder).__mro__]
        formats = {module[2] for module in modules if module[:2] == ["datasets", "packaged_modules"]}
        if not formats or not formats <= FORMATS:
            raise UserError(
                f"data.hub.name: the files of {params.name} are in the format {', '.join(sorted(formats)) or 'of a program'}; "
                "csv, json, parquet or arrow was expected, which hold data and nothing else"
            )
        builder.download_and_prepare()
    except (ValueError, RuntimeError, FileNotFoundError, YAMLError, datasets.exceptions.DatasetsError) as error:
        raise _refused(params, error) from None
    return builder


def _refused(params: HubDataParams, error: Exception) -> Exception:
    """The fault behind an error of the library; an error of the Hub or the disk is passed on to be explained there."""
    # what could not be found the library says best itself, what could not be read its reader
    reason = told(error if isinstance(error, datasets.exceptions.DatasetNotFoundError) else causes(error)[-1])
    if reason.startswith("DatasetNotFoundError: Revision"):
        return UserError(f"data.hub.revision: {params.name} has no commit {params.revision}; {newest(params.name, 'datasets/')}")
    if "BuilderConfig" in str(error) or "Config name is missing" in str(error):
        return UserError(f"data.hub.config: {params.config!r} is no configuration of {params.name} ({reason})")
    if disk_fault(error) or isinstance(error, LocalEntryNotFoundError):
        return error
    if "gated" in str(error):
        return UserError(
            f"data.hub.name: access to {params.name} is restricted; ask for it on {SITE}/datasets/{params.name}, then "
            "set HF_TOKEN"
        )
    return UserError(
        f"data.hub.name: {params.name} cannot be used ({reason}); a data set of the Hub that you may read, with csv, json, "
        "parquet or arrow files, was expected"
    )


def _split(builder: DatasetBuilder, key: str, wanted: str) -> Dataset:
    try:
        rows = builder.as_dataset(split=wanted)
    except (ValueError, AssertionError) as error:
        raise UserError(
            f"data.hub.{key}: {wanted!r} cannot be taken ({told(error)}); the splits are {', '.join(builder.info.splits)}, "
            "and a part is written as train[:20000] or train[:10%]"
        ) from None
    if not len(rows):
        raise UserError(f"data.hub.{key}: {wanted!r} has no rows")
    return rows


def _check_columns(rows: Dataset, params: HubDataParams) -> None:
    """Raise `UserError` unless the columns of texts and labels are there and of types that can serve."""
    shown = ", ".join(f"{name} ({_type(feature)})" for name, feature in rows.features.items())
    for key in ("text_column", "label_column"):
        if getattr(params, key) not in rows.features:
            raise UserError(f"data.hub.{key}: {params.name} has no column {getattr(params, key)!r}; the columns are {shown}")
    text, label = rows.features[params.text_column], rows.features[params.label_column]
    if _type(text) not in ("string", "large_string"):
        raise UserError(f"data.hub.text_column: {params.text_column!r} is no column of strings; the columns are {shown}")
    if not isinstance(label, ClassLabel) and not _type(label).startswith(LABEL_TYPES):
        raise UserError(
            f"data.hub.label_column: {params.label_column!r} holds neither strings nor numbers; the columns are {shown}"
        )


def _type(feature) -> str:
    if isinstance(feature, ClassLabel):
        return f"classes {', '.join(feature.names[:10])}{', ...' if len(feature.names) > 10 else ''}"
    return feature.dtype if isinstance(feature, Value) else type(feature).__name__


def _write(path: Path, rows: Dataset, wanted: str, params: HubDataParams) -> None:
    """Write the texts and labels of `rows` batch by batch; no more than a batch is held in memory."""
    feature = rows.features[params.label_column]
    names = pa.array([name.strip() for name in feature.names]) if isinstance(feature, ClassLabel) else None
    labels = pa.string() if names is None else pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([("text", pa.string()), ("label", labels)])
    columns, first = [params.text_column, params.label_column], 1
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for table in rows.select_columns(columns).with_format("arrow").iter(BATCH):
            text, label = (table[name].combine_chunks() for name in columns)
            _refuse_rows(text.is_null(), first, wanted, f"data.hub.text_column: {columns[0]!r} is null")
            place = f"data.hub.label_column: {columns[1]!r}"
            _refuse_rows(label.is_null(), first, wanted, f"{place} is null")
            label = _names(label, place, first, wanted) if names is None else _codes(label, names, place, first, wanted)
            writer.write_batch(pa.record_batch([text.cast(pa.string()), label], schema=schema))
            first += len(table)


def _codes(label: pa.Array, names: pa.Array, place: str, first: int, wanted: str) -> pa.Array:
    """Class indices of a ClassLabel as a column that carries the names."""
    _refuse_rows(pc.less(label, 0), first, wanted, f"{place} is -1, which marks a row without a label,")
    return pa.DictionaryArray.from_arrays(label.cast(pa.int32()), names)


def _names(label: pa.Array, place: str, first: int, wanted: str) -> pa.Array:
    """Labels as strings; a whole number that came as a float, as pandas makes of integers, is written without its point."""
    if pa.types.is_floating(label.type):
        whole = pc.and_(pc.equal(label, pc.floor(label)), pc.less(pc.abs(label), 2**53))
        _refuse_rows(pc.invert(whole), first, wanted, f"{place} is no whole number, and so names no class,")
        label = label.cast(pa.int64())
    label = pc.utf8_trim_whitespace(label.cast(pa.string()))
    _refuse_rows(pc.equal(label, ""), first, wanted, f"{place} is empty")
    return label


def _refuse_rows(wrong: pa.BooleanArray, first: int, wanted: str, fault: str) -> None:
    """Raise `UserError` with the number of the first row, counted from 1, for which `wrong` is true."""
    index = wrong.index(True).as_py()
    if index >= 0:
        advice = "every row needs a text and a class; choose another column or split"
        raise UserError(f"{fault} in row {first + index} of {wanted}; {advice}")
