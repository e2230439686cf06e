"""What the block `data` of params.yaml may contain."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from stages.project.schema.fields import Name, Number, Revision, Section


def _columns_differ(value: str | None, info: ValidationInfo) -> str | None:
    """Check that each column serves one purpose; columns are the fields of the block whose names end in `_column`."""
    given = [
        column for name, column in [*info.data.items(), (info.field_name, value)] if str(name).endswith("_column") and column
    ]
    if len(set(given)) < len(given):
        raise ValueError(f"each column can serve one purpose only, received {', '.join(map(repr, given))}")
    return value


def _named_with_train(value: str | None, info: ValidationInfo) -> str | None:
    """Check that the file for training has a name too, if those of other splits have."""
    if value is not None and info.data.get("train_file", "") is None:
        raise ValueError(f"received {value!r} without train_file, the file for training; give train_file too, or null for both")
    return value


def text_encoding(value: str) -> str:
    """Return `value` if it is auto or the name of an encoding of text, else raise a `ValueError`."""
    try:
        if value != "auto":
            "text".encode(value)
    except (LookupError, UnicodeError):
        raise ValueError(
            f"must be auto, utf-8, cp1252, latin-1, utf-16 or another text encoding of Python, received {value!r}"
        ) from None
    return value


class CsvParams(Section):
    path: Name
    train_file: Name | None
    validation_file: Annotated[Name | None, AfterValidator(_named_with_train)]
    test_file: Annotated[Name | None, AfterValidator(_named_with_train)]
    text_column: Name
    label_column: Name
    split_column: Annotated[Name | None, AfterValidator(_columns_differ)]
    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe", ",", ";", "\t", "|"]
    quotes: Literal["double", "none"]
    encoding: Annotated[Name, AfterValidator(text_encoding)]
    missing: Literal["error", "drop"]


class HubDataParams(Section):
    name: Name
    config: Name | None
    revision: Revision | None
    split: Name
    validation_split: Name | None
    test_split: Name | None
    text_column: Name
    label_column: Annotated[Name, AfterValidator(_columns_differ)]


class DataParams(Section):
    source: Literal["package", "csv", "hub"]
    limit: Annotated[int, Field(ge=0)]
    rare_classes: Literal["error", "drop", "merge"]
    rare_class_min: Annotated[int, Field(ge=0)]
    max_length: Annotated[int, Field(ge=3, le=8192)]
    neutral_margin: Annotated[Number, Field(ge=0, lt=4)]
    train_fraction: Annotated[Number, Field(gt=0, lt=1)]
    validation_fraction: Annotated[Number, Field(gt=0, lt=1)]
    test_fraction: Annotated[Number, Field(gt=0, lt=1)]
    csv: CsvParams
    hub: HubDataParams

    @field_validator("test_fraction")
    @classmethod
    def _fractions_add_up(cls, test: float, info: ValidationInfo) -> float:
        train, validation = info.data.get("train_fraction"), info.data.get("validation_fraction")
        if train is not None and validation is not None and abs(train + validation + test - 1) > 1e-6:
            total = train + validation + test
            raise ValueError(f"train_fraction + validation_fraction + test_fraction must be 1, received {total:g}")
        return test

    @field_validator("hub")
    @classmethod
    def _hub_data_is_pinned(cls, hub: HubDataParams, info: ValidationInfo) -> HubDataParams:
        if info.data.get("source") == "hub" and hub.revision is None:
            raise ValueError(
                "source hub needs hub.revision, the commit (40 hexadecimal digits) to fetch, received null; "
                f"git ls-remote https://huggingface.co/datasets/{hub.name} refs/heads/main shows the newest"
            )
        return hub
