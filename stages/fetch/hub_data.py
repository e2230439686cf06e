"""A labelled data set of the Hugging Face Hub at a pinned commit.

Writes one Arrow stream per split with the columns text and label. It keeps any text exactly, which CSV does not (NUL, line
ends), and equal rows give equal bytes, which Parquet does not guarantee (it records the writer's version).
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

FORMATS = {"arrow", "cache", "csv", "json", "parquet"}  # tables; cache: already prepared by the library
LABEL_TYPES = ("string", "large_string", "bool", "int", "uint", "float")  # prefixes of type names
BATCH = 1000  # rows


def fetch_data(params: HubDataParams, target: Path) -> None:
    """Write train.arrow and, if splits are named for them, validation.arrow and test.arrow into `target`.

    A ClassLabel column gives class names in its order; other labels are written as text: strings without surrounding
    space, whole numbers in digits, true and false.

    Raises:
        UserError: the name is invalid on the Hub or names a folder here; no network, no access, no such data set or commit;
            what `write_splits` refuses.
    """
    check_data_name(params)
    assert params.revision is not None  # the schema requires it for the source hub
    write_splits(params, CACHE / "datasets" / params.revision, target)


def write_splits(params: HubDataParams, cache: Path, target: Path) -> None:
    """Write the splits as `fetch_data` does, but without checking the name.

    Args:
        cache: folder for prepared tables, one per commit: offline, the library takes the latest that it finds there.

    Raises:
        UserError: no such configuration, split or column; files in a format other than csv, json, parquet or arrow; texts that
            are null or not strings; labels that are fractions, null, empty, or missing (-1 of a ClassLabel); or an error
            from the Hub.
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
    """Make the library log errors only, show bars on a terminal only, and cache in the checkout's `CACHE`, not the user's."""
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
    """Do what `datasets.load_dataset` does before it takes a split, but check the format before any data file is read."""
    if params.name in PROGRAMS:  # the library would read files in the current folder
        raise UserError(f"data.hub.name: {params.name} is a format, not a data set; expected one like owner/name")
    try:
        builder = datasets.load_dataset_builder(params.name, params.config, revision=params.revision, cache_dir=str(cache))
        modules = [kind.__module__.split(".") for kind in type(builder).__mro__]
        formats = {module[2] for module in modules if module[:2] == ["datasets", "packaged_modules"]}
        if not formats or not formats <= FORMATS:
            raise UserError(
                f"data.hub.name: the files of {params.name} are in the format {', '.join(sorted(formats)) or 'of a program'}; "
                "expected csv, json, parquet or arrow, which contain nothing but data"
            )
        builder.download_and_prepare()
    except (ValueError, RuntimeError, FileNotFoundError, YAMLError, datasets.exceptions.DatasetsError) as error:
        raise _refused(params, error) from None
    return builder


def _refused(params: HubDataParams, error: Exception) -> Exception:
    """Return the error to raise for one of the library; those of the Hub and the disk are returned as they are."""
    # for a missing data set the library's own message is best, for an unreadable one that of the reader
    reason = told(error if isinstance(error, datasets.exceptions.DatasetNotFoundError) else causes(error)[-1])
    if reason.startswith("DatasetNotFoundError: Revision"):
        return UserError(f"data.hub.revision: {params.name} has no commit {params.revision}; {newest(params.name, 'datasets/')}")
    if "BuilderConfig" in str(error) or "Config name is missing" in str(error):
        return UserError(f"data.hub.config: {params.config!r} is not a configuration of {params.name} ({reason})")
    if disk_fault(error) or isinstance(error, LocalEntryNotFoundError):
        return error
    if "gated" in str(error):
        return UserError(
            f"data.hub.name: access to {params.name} is restricted; ask for it on {SITE}/datasets/{params.name}, then "
            "set HF_TOKEN"
        )
    return UserError(
        f"data.hub.name: {params.name} cannot be used ({reason}); expected a data set of the Hub that you may read, with "
        "csv, json, parquet or arrow files"
    )


def _split(builder: DatasetBuilder, key: str, wanted: str) -> Dataset:
    try:
        rows = builder.as_dataset(split=wanted)
    except (ValueError, AssertionError) as error:
        raise UserError(
            f"data.hub.{key}: {wanted!r} cannot be taken ({told(error)}); the splits are {', '.join(builder.info.splits)}, "
            "and a part is written like train[:20000] or train[:10%]"
        ) from None
    if not len(rows):
        raise UserError(f"data.hub.{key}: {wanted!r} has no rows")
    return rows


def _check_columns(rows: Dataset, params: HubDataParams) -> None:
    """Raise `UserError` unless the columns of texts and labels exist and have usable types."""
    shown = ", ".join(f"{name} ({_type(feature)})" for name, feature in rows.features.items())
    for key in ("text_column", "label_column"):
        if getattr(params, key) not in rows.features:
            raise UserError(f"data.hub.{key}: {params.name} has no column {getattr(params, key)!r}; the columns are {shown}")
    text, label = rows.features[params.text_column], rows.features[params.label_column]
    if _type(text) not in ("string", "large_string"):
        raise UserError(f"data.hub.text_column: {params.text_column!r} is not a column of strings; the columns are {shown}")
    if not isinstance(label, ClassLabel) and not _type(label).startswith(LABEL_TYPES):
        raise UserError(
            f"data.hub.label_column: {params.label_column!r} contains neither strings nor numbers; the columns are {shown}"
        )


def _type(feature: object) -> str:
    if isinstance(feature, ClassLabel):
        return f"classes {', '.join(feature.names[:10])}{', ...' if len(feature.names) > 10 else ''}"
    return feature.dtype if isinstance(feature, Value) else type(feature).__name__


def _write(path: Path, rows: Dataset, wanted: str, params: HubDataParams) -> None:
    """Write the texts and labels of `rows` batch by batch, so that only one is in memory."""
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
    """Return class indices of a ClassLabel as a column that carries the names."""
    _refuse_rows(pc.less(label, 0), first, wanted, f"{place} is -1, which marks a row without a label,")
    return pa.DictionaryArray.from_arrays(label.cast(pa.int32()), names)


def _names(label: pa.Array, place: str, first: int, wanted: str) -> pa.Array:
    """Return labels as strings; a whole number stored as a float, as pandas does with integers, has no decimal point."""
    if pa.types.is_floating(label.type):
        whole = pc.and_(pc.equal(label, pc.floor(label)), pc.less(pc.abs(label), 2**53))
        _refuse_rows(pc.invert(whole), first, wanted, f"{place} is not a whole number, so it does not name a class,")
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
